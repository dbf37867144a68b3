package readymade

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/rootfs/blockmap"
	"github.com/gitboot/gitboot/rootfs/blockpatch"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/squash"
)

// A patch that is published, for a stage that has what it is made from.
type patch struct {
	stage *stage.Stage
	image.MadePatch
}

// make fetches the patch and makes a squashfs that has blocks of an object, if they are
// packed here as they were there. The caller discards it.
func (p patch) make(ctx context.Context, object blockmap.Map, fetched io.Writer) (*durable.File, error) {
	if err := p.stage.HasRoom(object.Size() + mostPatched(object)); err != nil {
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
	return patched(ctx, p.stage, older, io.TeeReader(body, fetched), object)
}

// besideBlock is what a squashfs has for a piece beside its block, and besidePieces for
// all of them.
const besideBlock, besidePieces = 64, 1 << 20

// mostPatched is how large what a patch to an object makes may become: it makes blocks of
// it, each once.
func mostPatched(object blockmap.Map) int64 {
	return object.Size() + int64(len(object))*besideBlock + besidePieces
}

// patched makes the squashfs that a patch to an object and older files make.
func patched(ctx context.Context, st *stage.Stage, older []string, body io.Reader, object blockmap.Map) (f *durable.File, err error) {
	readers, closeAll, err := openAll(older)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	if f, err = durable.Create(st.Temp(), 0o600); err != nil {
		return nil, err
	}
	left := len(object)
	fits := func() error {
		info, err := f.Stat()
		if err == nil && (left < 0 || info.Size() > mostPatched(object)) {
			err = errors.New("it makes more than the object has")
		}
		return err
	}
	err = squash.Pieces(ctx, f.File, func(add func([]byte) error) error {
		return blockpatch.Apply(ctx, body, readers, func(piece []byte) error {
			left--
			if err := fits(); err != nil {
				return err
			}
			return add(piece)
		})
	})
	if err == nil {
		err = fits()
	}
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
