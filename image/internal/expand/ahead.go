package expand

import (
	"context"
	"io"
	"sync"
)

// An Ahead reads a stream in a goroutine of its own into a ring of buffers,
// so that fetching and hashing go on while the reader decodes.
type Ahead struct {
	src  io.ReadCloser
	stop context.CancelFunc
	full chan chunk
	free chan []byte
	quit chan struct{}
	done chan struct{}

	cur  chunk
	rest []byte
	once sync.Once
}

type chunk struct {
	buf []byte
	err error
}

const (
	aheadBuffers = 4
	aheadSize    = 128 << 10
)

// NewAhead takes src over; stop must make a waiting Read of it return.
func NewAhead(src io.ReadCloser, stop context.CancelFunc) *Ahead {
	a := &Ahead{
		src:  src,
		stop: stop,
		full: make(chan chunk, aheadBuffers),
		free: make(chan []byte, aheadBuffers),
		quit: make(chan struct{}),
		done: make(chan struct{}),
	}
	for range aheadBuffers {
		a.free <- make([]byte, aheadSize)
	}
	go a.run()
	return a
}

func (a *Ahead) run() {
	defer close(a.done)
	for {
		var buf []byte
		select {
		case buf = <-a.free:
		case <-a.quit:
			return
		}
		n, err := fill(a.src, buf)
		// full has room for every buffer there is.
		a.full <- chunk{buf[:n], err}
		if err != nil {
			return
		}
	}
}

// fill is io.ReadFull, but it keeps io.EOF and the reader's own errors.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

func (a *Ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.cur.err != nil {
			return 0, a.cur.err
		}
		if a.cur.buf != nil {
			a.free <- a.cur.buf[:cap(a.cur.buf)]
		}
		a.cur = <-a.full
		a.rest = a.cur.buf
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// Close ends the goroutine and then closes the stream. It must not be called
// during a Read.
func (a *Ahead) Close() error {
	var err error
	a.once.Do(func() {
		close(a.quit)
		a.stop()
		<-a.done
		err = a.src.Close()
		if a.cur.err == nil {
			a.cur, a.rest = chunk{err: io.ErrClosedPipe}, nil
		}
	})
	return err
}
