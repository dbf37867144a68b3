package bundle

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage"
)

// maxManifest bounds what Import reads before it knows what it reads.
const maxManifest = 1 << 20

// Import reads what Export wrote and returns the deployment's id. Nothing is
// kept of a manifest that check does not accept. Objects are verified and
// stored as they come; the deployment is published when all are there. An
// import that fails leaves nothing behind. The caller holds the stage's lock.
func Import(ctx context.Context, st *stage.Stage, r io.Reader, check func(id string, m *deployment.Manifest) error, sink progress.Sink) (id string, err error) {
	in := tar.NewReader(ctxio.Reader(ctx, r))
	id, m, err := importManifest(in)
	if err == nil {
		err = check(id, m)
	}
	if err != nil {
		return "", fmt.Errorf("import: %w", err)
	}
	lacking, err := stage.Lacking(st, m)
	if err != nil {
		return "", fmt.Errorf("import %q: %w", m.Image, err)
	}
	if err := st.HasRoom(total(lacking)); err != nil {
		return "", fmt.Errorf("import %q: %w", m.Image, err)
	}
	task := progress.Start(sink, "import "+m.Image, total(m.Objects()))
	defer func() { task.End(err) }()
	if err := importObjects(ctx, st, in, m, task); err != nil {
		return "", errors.Join(fmt.Errorf("import %q: %w", m.Image, err), stage.Discard(st.Layout, lacking))
	}
	if id, err = st.Publish(m); err != nil {
		return "", errors.Join(err, stage.Discard(st.Layout, lacking))
	}
	return id, nil
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
func importObjects(ctx context.Context, st *stage.Stage, in *tar.Reader, m *deployment.Manifest, task *progress.Task) error {
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
		if err := stage.Fetch(ctx, st, entry(in, o), task); err != nil {
			return fmt.Errorf("%s: %w", hdr.Name, stage.Full(st, err))
		}
	}
}

// entry is what a tar has come to, if it is the object that it should be.
func entry(in *tar.Reader, o deployment.Object) stage.Fetched {
	wrong := func(got deployment.Object) error {
		return fmt.Errorf("the file is damaged: the content has the sha256 %s", got.SHA256)
	}
	return stage.Fetched{Object: o, Open: func(context.Context) (io.ReadCloser, error) {
		return &stage.Proof{ReadCloser: io.NopCloser(in), Object: o, Wrong: wrong}, nil
	}}
}
