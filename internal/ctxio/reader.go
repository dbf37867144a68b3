// Package ctxio has copying and waiting end with a context, which packages io and time do
// not know.
package ctxio

import (
	"context"
	"io"
)

// Reader reads from r until ctx ends, and then gives its cause.
func Reader(ctx context.Context, r io.Reader) io.Reader { return reader{ctx, r} }

// ReadCloser is Reader of what is to be closed.
func ReadCloser(ctx context.Context, r io.ReadCloser) io.ReadCloser {
	return readCloser{reader{ctx, r}, r}
}

type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

type readCloser struct {
	reader
	io.Closer
}
