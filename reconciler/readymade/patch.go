package readymade

import (
	"context"
	"io"
	"os"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/rootfs/blockpatch"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/squash"
)

// A patch that is published, for a stage that has what it is made from.
type patch struct {
	stage *stage.Stage
	image.MadePatch
}

// make fetches the patch and makes a squashfs that has the blocks, if they are packed
// here as they were there; the object is whole bytes long. The caller discards it.
func (p patch) make(ctx context.Context, whole int64, fetched io.Writer) (*durable.File, error) {
	// What it makes lies beside the object, and is not much smaller at worst.
	if err := p.stage.HasRoom(2 * whole); err != nil {
		return nil, err
	}
	older := make([]string, len(p.From))
	for i, sum := range p.From {
		older[i] = p.stage.ObjectPath(deployment.Object{SHA256: sum})
	}
	body, err := p.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return patched(ctx, p.stage, older, io.TeeReader(body, fetched))
}

// patched makes the squashfs that a patch and older files make.
func patched(ctx context.Context, st *stage.Stage, older []string, body io.Reader) (f *durable.File, err error) {
	readers, closeAll, err := openAll(older)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	if f, err = durable.Create(st.Temp(), 0o600); err != nil {
		return nil, err
	}
	err = squash.Pieces(ctx, f.File, func(add func([]byte) error) error {
		return blockpatch.Apply(ctx, body, readers, add)
	})
	if err != nil {
		f.Discard()
		return nil, err
	}
	return f, nil
}

// openAll opens squashfs files to be read.
func openAll(paths []string) (readers []*rootfs.Reader, closeAll func(), err error) {
	var files []*os.File
	closeAll = func() {
		for _, f := range files {
			_ = f.Close() // was only read
		}
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err == nil {
			files = append(files, f)
			var r *rootfs.Reader
			if r, err = rootfs.New(f); err == nil {
				readers = append(readers, r)
				continue
			}
		}
		closeAll()
		return nil, nil, err
	}
	return readers, closeAll, nil
}
