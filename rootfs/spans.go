package rootfs

import (
	"encoding/binary"
	"path"
)

// A Stored is a block of files' content as it lies in the file system.
type Stored struct {
	Offset int64
	Size   int32
	// Plain says that it is not compressed.
	Plain bool
}

// A Span is what one block has of a file: Length bytes of its content, from At on.
type Span struct {
	Stored
	At, Length int32
	// Shared says that the block holds ends of other files, too.
	Shared bool
}

// Spans calls visit for each name of a regular file, in the order of their paths, with
// what each block has of it. Holes are spans of which nothing is stored.
func (r *Reader) Spans(visit func(path string, spans []Span) error) error {
	root, err := r.Root()
	if err != nil {
		return err
	}
	w := &spanner{Reader: r, visit: visit}
	return w.folder(".", &root)
}

// maxDepth is how deep folders may lie in each other.
const maxDepth = 512

type spanner struct {
	*Reader
	visit        func(string, []Span) error
	steps, depth int
}

// step bounds the work.
func (w *spanner) step() error {
	if w.steps++; w.steps > maxSteps {
		return corrupt("more than %d names and blocks", maxSteps)
	}
	return nil
}

func (w *spanner) folder(name string, dir *Inode) error {
	if w.depth++; w.depth > maxDepth {
		return corrupt("folders lie more than %d deep", maxDepth)
	}
	defer func() { w.depth-- }()
	list, err := w.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := w.step(); err != nil {
			return err
		}
		i, err := w.Inode(e)
		if err != nil {
			return err
		}
		at := path.Join(name, e.Name)
		switch i.kind {
		case typeDir:
			err = w.folder(at, &i)
		case typeFile:
			var spans []Span
			if spans, err = w.spans(&i); err == nil {
				err = w.visit(at, spans)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *spanner) spans(i *Inode) (list []Span, err error) {
	bs, pos := int64(w.super.BlockSize), i.start
	for left := i.Size; left > 0; left -= bs {
		if err := w.step(); err != nil {
			return nil, err
		}
		s := Span{Length: int32(min(left, bs))}
		if left < bs && i.fragment != none32 {
			if i.fragment >= w.super.Fragments {
				return nil, corrupt("fragment %d of %d", i.fragment, w.super.Fragments)
			}
			off, stored, err := w.fragment(i.fragment)
			if err != nil {
				return nil, err
			}
			s.At, s.Stored, s.Shared = int32(i.fragmOff), storedAt(off, stored), true
			return append(list, s), nil
		}
		b, err := i.sizes.take(4)
		if err != nil {
			return nil, err
		}
		s.Stored = storedAt(pos, binary.LittleEndian.Uint32(b))
		pos += int64(s.Size)
		list = append(list, s)
	}
	return list, nil
}

func storedAt(off int64, stored uint32) Stored {
	return Stored{off, int32(stored &^ storedPlain), stored&storedPlain != 0}
}

// Expand reads what a block holds.
func (r *Reader) Expand(s Stored) ([]byte, error) {
	if s.Size <= 0 {
		return nil, corrupt("block of %d bytes at %d", s.Size, s.Offset)
	}
	return r.block(s.Offset, int(s.Size), !s.Plain, int(r.super.BlockSize))
}
