package pack

import (
	"bufio"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
)

// An inflater inflates one entry after the other, with one set of buffers.
type inflater struct {
	zlib  io.ReadCloser
	chunk []byte
}

func newInflater() *inflater { return &inflater{chunk: make([]byte, 64<<10)} }

func (x *inflater) reset(r *bufio.Reader) error {
	if x.zlib != nil {
		return x.zlib.(zlib.Resetter).Reset(r, nil)
	}
	var err error
	x.zlib, err = zlib.NewReader(r)
	return err
}

// copy inflates what begins at r, which must be size bytes, and leaves r right
// behind it.
func (x *inflater) copy(w io.Writer, r *bufio.Reader, size int64) error {
	if err := x.reset(r); err != nil {
		return err
	}
	for left := size; ; {
		n, err := x.zlib.Read(x.chunk)
		if left -= int64(n); left < 0 {
			return fmt.Errorf("%w: an object is longer than it says", errMalformed)
		}
		if _, err := w.Write(x.chunk[:n]); err != nil {
			return err
		}
		if err == io.EOF && left > 0 {
			return fmt.Errorf("%w: an object is shorter than it says", errMalformed)
		} else if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// bytes is copy into memory. What an entry says of its size is believed only
// as far as it comes.
func (x *inflater) bytes(r *bufio.Reader, size int64) ([]byte, error) {
	if size > maxInMemory {
		return nil, tooLarge(size)
	}
	if size > 1<<20 {
		w := &growing{}
		err := x.copy(w, r, size)
		return *w, err
	}
	if err := x.reset(r); err != nil {
		return nil, err
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(x.zlib, data); err != nil {
		return nil, err
	}
	if n, err := x.zlib.Read(x.chunk[:1]); n > 0 || err != io.EOF {
		return nil, fmt.Errorf("%w: an object is longer than it says (%v)", errMalformed, err)
	}
	return data, nil
}

func tooLarge(size int64) error {
	return fmt.Errorf("an object of %d MiB is stored as a difference, and only %d MiB are put together in memory", size>>20, maxInMemory>>20)
}

type growing []byte

func (g *growing) Write(p []byte) (int, error) {
	*g = append(*g, p...)
	return len(p), nil
}
