package stage

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/progress"
)

// maxManifest bounds what Import reads before it knows what it reads.
const maxManifest = 1 << 20

// Export writes one deployment as a single file: a tar with the manifest as
// deployments/<id>.json first, then each object as objects/sha256/<hex>. The
// bytes depend on the deployment alone. An object that is damaged is found
// while it is written.
func (s *Stage) Export(ctx context.Context, id string, w io.Writer, sink progress.Sink) (err error) {
	m, err := Proven(s, id)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	data, err := m.Canonical()
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	task := progress.Start(sink, "export "+m.Image, total(m.Objects()))
	defer func() { task.End(err) }()
	out := tar.NewWriter(w)
	if err := export(ctx, out, "deployments/"+id+".json", int64(len(data)), bytes.NewReader(data), ""); err != nil {
		return err
	}
	for _, o := range m.Objects() {
		if err := exportObject(ctx, s.ObjectPath(o), out, o, task); err != nil {
			return err
		}
	}
	return out.Close()
}

func exportObject(ctx context.Context, path string, out *tar.Writer, o deployment.Object, task *progress.Task) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer f.Close()
	return export(ctx, out, o.Path(), o.Size, io.TeeReader(f, task), o.SHA256)
}

// export writes one entry; want, if given, is the sha256 that it must have.
func export(ctx context.Context, out *tar.Writer, name string, size int64, r io.Reader, want string) error {
	hdr := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: time.Unix(0, 0)}
	if err := out.WriteHeader(hdr); err != nil {
		return fmt.Errorf("export %s: %w", name, err)
	}
	got, err := copyHashed(ctx, out, r)
	switch {
	case err != nil:
		return fmt.Errorf("export %s: %w", name, err)
	case got.Size != size || want != "" && got.SHA256 != want:
		return fmt.Errorf("export %s: the object is damaged (sha256 %s, %d bytes); see `gitboot stage verify`", name, got.SHA256, got.Size)
	}
	return nil
}

// Intact reads an object and reports how it is not what its name says.
func Intact(ctx context.Context, s *Stage, o deployment.Object) error {
	f, err := os.Open(s.ObjectPath(o))
	if err != nil {
		return err
	}
	defer f.Close()
	got, err := hashFile(ctx, f)
	if err == nil && got != o {
		err = damaged(o, got)
	}
	return err
}

// damaged says that an object has become something else.
func damaged(o, got deployment.Object) error {
	return fmt.Errorf("%s is damaged (sha256 %s, %d bytes); see `gitboot stage verify`", o.Path(), got.SHA256, got.Size)
}

func total(objects []deployment.Object) (n int64) {
	for _, o := range objects {
		n += o.Size
	}
	return n
}

// Import reads what Export wrote and returns the deployment's id. Nothing is
// kept of a manifest that check does not accept. Objects are verified and
// stored as they come; the deployment is published when all are there. An
// import that fails leaves nothing behind.
func (s *Stage) Import(ctx context.Context, r io.Reader, check func(id string, m *deployment.Manifest) error, sink progress.Sink) (id string, err error) {
	in := tar.NewReader(ctxio.Reader(ctx, r))
	id, m, err := importManifest(in)
	if err == nil {
		err = check(id, m)
	}
	if err != nil {
		return "", fmt.Errorf("import: %w", err)
	}
	lacking, err := Lacking(s, m)
	if err != nil {
		return "", fmt.Errorf("import %q: %w", m.Image, err)
	}
	if err := s.HasRoom(total(lacking)); err != nil {
		return "", fmt.Errorf("import %q: %w", m.Image, err)
	}
	task := progress.Start(sink, "import "+m.Image, total(m.Objects()))
	defer func() { task.End(err) }()
	if err := importObjects(ctx, s, in, m, task); err != nil {
		return "", errors.Join(fmt.Errorf("import %q: %w", m.Image, err), discard(s.Layout, lacking))
	}
	if id, err = s.Publish(m); err != nil {
		return "", errors.Join(err, discard(s.Layout, lacking))
	}
	return id, nil
}

// discard removes objects that nothing needs yet, of which some may be there.
func discard(l Layout, objects []deployment.Object) (err error) {
	for _, o := range objects {
		if l.Damaged(o) {
			continue // it was there before, and may be running
		}
		if rerr := os.Remove(l.ObjectPath(o)); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return errors.Join(err, durable.SyncDir(l.objects()))
}

func importManifest(in *tar.Reader) (string, *deployment.Manifest, error) {
	hdr, err := in.Next()
	if err != nil {
		return "", nil, fmt.Errorf("this is not a file that `gitboot stage export` wrote: %w", err)
	}
	name, prefixed := strings.CutPrefix(hdr.Name, "deployments/")
	id, suffixed := strings.CutSuffix(name, ".json")
	if !prefixed || !suffixed || !deployment.IsHash(id) || hdr.Size > maxManifest {
		return "", nil, errors.New("this is not a file that `gitboot stage export` wrote: it does not begin with a manifest")
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return "", nil, err
	}
	m, err := deployment.ParseManifest(data, id)
	return id, m, err
}

// importObjects stores each object of the manifest that the tar holds.
func importObjects(ctx context.Context, s *Stage, in *tar.Reader, m *deployment.Manifest, task *progress.Task) error {
	wanted := make(map[string]deployment.Object)
	for _, o := range m.Objects() {
		wanted[o.Path()] = o
	}
	for {
		hdr, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		o, ok := wanted[hdr.Name]
		if !ok || hdr.Size != o.Size || hdr.Typeflag != tar.TypeReg {
			return fmt.Errorf("%q is not what the manifest names", hdr.Name)
		}
		delete(wanted, hdr.Name)
		if err := importObject(ctx, s, io.TeeReader(in, task), o); err != nil {
			return fmt.Errorf("%s: %w", hdr.Name, err)
		}
	}
}

func importObject(ctx context.Context, s *Stage, r io.Reader, want deployment.Object) error {
	if there, err := s.has(want); err != nil || there {
		return err
	}
	f, err := durable.Create(s.Temp(), 0o600)
	if err != nil {
		return s.full(err, want.Size)
	}
	defer f.Discard()
	got, err := copyHashed(ctx, f, r)
	if err != nil {
		return s.full(err, want.Size)
	}
	if got != want {
		return fmt.Errorf("the file is damaged: the content has the sha256 %s", got.SHA256)
	}
	return s.full(s.publish(f, want), want.Size)
}
