package rootfs

import (
	"encoding/binary"
	"fmt"
	"io"
)

const storedPlain = 1 << 24

// Open returns a regular file's content. The reader holds one block at a
// time; several may be open at once.
func (r *Reader) Open(i *Inode) (io.Reader, error) { return r.OpenAt(i, 0) }

// OpenAt returns it from the byte at off on. The blocks before are not read.
func (r *Reader) OpenAt(i *Inode, off int64) (io.Reader, error) {
	if i.kind != typeFile {
		return nil, corrupt("opening what is no regular file")
	}
	if off < 0 || off > i.Size {
		return nil, fmt.Errorf("byte %d of a file of %d", off, i.Size)
	}
	sizes := *i.sizes
	f := &file{r: r, inode: i, sizes: &sizes, left: i.Size, pos: i.start}
	return f, f.skip(off)
}

// skip goes on at a byte of a file of which nothing was read.
func (f *file) skip(off int64) error {
	bs := int64(f.r.super.BlockSize)
	for ; off >= bs; off -= bs {
		b, err := f.sizes.take(4)
		if err != nil {
			return err
		}
		f.pos += int64(binary.LittleEndian.Uint32(b) &^ storedPlain)
		f.left -= bs
	}
	if off == 0 {
		return nil
	}
	if err := f.next(); err != nil {
		return err
	}
	f.rest = f.rest[off:]
	return nil
}

type file struct {
	r     *Reader
	inode *Inode
	sizes *stream
	left  int64 // not yet in rest
	pos   int64
	rest  []byte
}

func (f *file) Read(p []byte) (int, error) {
	for len(f.rest) == 0 {
		if f.left == 0 {
			return 0, io.EOF
		}
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// WriteTo spares a copy of each block.
func (f *file) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		n, err := w.Write(f.rest)
		total += int64(n)
		f.rest = nil
		if err != nil || f.left == 0 {
			return total, err
		}
		if err := f.next(); err != nil {
			return total, err
		}
	}
}

func (f *file) next() error {
	bs := int64(f.r.super.BlockSize)
	want := min(f.left, bs)
	var data []byte
	var err error
	if want < bs && f.inode.fragment != none32 {
		data, err = f.r.tail(f.inode, int(want))
	} else {
		data, err = f.block(int(want))
	}
	if err != nil {
		return err
	}
	if int64(len(data)) != want {
		return corrupt("block of %d bytes where %d belong", len(data), want)
	}
	f.left -= want
	f.rest = data
	return nil
}

func (f *file) block(want int) ([]byte, error) {
	b, err := f.sizes.take(4)
	if err != nil {
		return nil, err
	}
	stored := binary.LittleEndian.Uint32(b)
	size := int(stored &^ storedPlain)
	if size == 0 {
		return make([]byte, want), nil
	}
	data, err := f.r.block(f.pos, size, stored&storedPlain == 0, int(f.r.super.BlockSize))
	f.pos += int64(size)
	return data, err
}

// tail returns the end of a file, which shares a block with other tails.
func (r *Reader) tail(i *Inode, want int) ([]byte, error) {
	if i.fragment >= r.super.Fragments {
		return nil, corrupt("fragment %d of %d", i.fragment, r.super.Fragments)
	}
	pos, stored, err := r.fragment(i.fragment)
	if err != nil {
		return nil, err
	}
	e, err := r.fragments.get(pos, func() (entry, error) {
		data, err := r.block(pos, int(stored&^storedPlain), stored&storedPlain == 0, int(r.super.BlockSize))
		return entry{data: data}, err
	})
	if err != nil {
		return nil, err
	}
	if end := int64(i.fragmOff) + int64(want); end > int64(len(e.data)) {
		return nil, corrupt("file's tail at %d in a fragment of %d bytes", end, len(e.data))
	}
	return e.data[i.fragmOff:][:want:want], nil
}

// fragment tells where the block of files' ends is, and its size as it is stored.
func (r *Reader) fragment(n uint32) (pos int64, stored uint32, err error) {
	le := binary.LittleEndian
	var at [8]byte
	if _, err := r.file.ReadAt(at[:], int64(r.super.FragmentTable)+8*int64(n/512)); err != nil {
		return 0, 0, corrupt("reading the fragment index: %v", err)
	}
	s, err := r.stream(int64(le.Uint64(at[:])), int(n%512)*16)
	if err != nil {
		return 0, 0, err
	}
	b, err := s.take(16)
	if err != nil {
		return 0, 0, err
	}
	return int64(le.Uint64(b)), le.Uint32(b[8:]), nil
}
