// Package bundle carries one deployment in a single file: a tar with the manifest as
// deployments/<id>.json first, then each object as objects/sha256/<hex>.
package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage"
)

// blockSize is the size of the reads of objects.
const blockSize = 1 << 20

// Export writes one deployment. The bytes depend on it alone. An object that is damaged
// is found while it is written.
func Export(ctx context.Context, st *stage.Stage, id string, w io.Writer, sink progress.Sink) (err error) {
	m, err := stage.Proven(st, id)
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
	if err := export(ctx, out, "deployments/"+id+".json", int64(len(data)), bytes.NewReader(data)); err != nil {
		return err
	}
	for _, o := range m.Objects() {
		if err := exportObject(ctx, st, out, o, task); err != nil {
			return err
		}
	}
	return out.Close()
}

func exportObject(ctx context.Context, st *stage.Stage, out *tar.Writer, o deployment.Object, task *progress.Task) error {
	f, err := stage.OpenIntact(st, o)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer f.Close()
	return export(ctx, out, o.Path(), o.Size, io.TeeReader(f, task))
}

// export writes one entry.
func export(ctx context.Context, out *tar.Writer, name string, size int64, r io.Reader) error {
	hdr := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: time.Unix(0, 0)}
	err := out.WriteHeader(hdr)
	if err == nil {
		_, err = io.CopyBuffer(struct{ io.Writer }{out}, ctxio.Reader(ctx, r), make([]byte, blockSize))
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

func total(objects []deployment.Object) (n int64) {
	for _, o := range objects {
		n += o.Size
	}
	return n
}
