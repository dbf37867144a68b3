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
	meter *meter
}

func newInflater(m *meter) *inflater { return &inflater{chunk: make([]byte, 64<<10), meter: m} }

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
		if err := x.meter.add(int64(n)); err != nil {
			return err
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

// stream is copy, as it is read.
func (x *inflater) stream(r *bufio.Reader, size int64) (io.Reader, error) {
	if err := x.meter.add(size); err != nil {
		return nil, err
	}
	return &exact{x, size}, x.reset(r)
}

type exact struct {
	*inflater
	left int64
}

func (e *exact) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, e.ended()
	}
	n, err := e.zlib.Read(p[:min(int64(len(p)), e.left)])
	if e.left -= int64(n); e.left > 0 && err == io.EOF {
		return n, fmt.Errorf("%w: an object is shorter than it says", errMalformed)
	} else if err == io.EOF {
		return n, nil
	}
	return n, err
}

// ended returns io.EOF where nothing follows.
func (x *inflater) ended() error {
	if n, err := x.zlib.Read(x.chunk[:1]); n > 0 || err != io.EOF {
		return fmt.Errorf("%w: an object is longer than it says (%v)", errMalformed, err)
	}
	return io.EOF
}

// bytes is copy into memory. What an entry says of its size is believed only
// as far as it comes.
func (x *inflater) bytes(r *bufio.Reader, size int64) ([]byte, error) {
	if size > 1<<20 {
		w := &growing{}
		err := x.copy(w, r, size)
		return *w, err
	}
	stream, err := x.stream(r, size)
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(stream, data); err != nil {
		return nil, err
	}
	if err := x.ended(); err != io.EOF {
		return nil, err
	}
	return data, nil
}

type growing []byte

func (g *growing) Write(p []byte) (int, error) {
	*g = append(*g, p...)
	return len(p), nil
}
