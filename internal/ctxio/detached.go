package ctxio

import (
	"context"
	"errors"
	"io"
)

// Detached reads what open opens, and ends with ctx although they may not: a pipe
// that nobody writes into is opened, and read, for ever.
func Detached(ctx context.Context, open func() (io.ReadCloser, error)) io.ReadCloser {
	r, w := io.Pipe()
	end := context.AfterFunc(ctx, func() { w.CloseWithError(context.Cause(ctx)) })
	go func() {
		defer end()
		f, err := open()
		if err == nil {
			_, err = io.Copy(w, f)
			err = errors.Join(err, f.Close())
		}
		w.CloseWithError(err)
	}()
	return r
}
