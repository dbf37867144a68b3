package ctxio

import (
	"context"
	"io"
	"slices"
	"time"
)

// grace is how long a write may still take when its context has ended.
const grace = 200 * time.Millisecond

// Writer writes to w, and gives up soon after ctx has ended: into a pipe that
// nobody reads is written for ever.
func Writer(ctx context.Context, w io.Writer) io.Writer { return writer{ctx, w} }

type writer struct {
	ctx context.Context
	w   io.Writer
}

func (w writer) Write(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	p = slices.Clone(p) // a write that was given up goes on
	done := make(chan result, 1)
	go func() {
		n, err := w.w.Write(p)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return r.n, r.err
	case <-w.ctx.Done():
	}
	select {
	case r := <-done:
		return r.n, r.err
	case <-time.After(grace):
		return 0, context.Cause(w.ctx)
	}
}
