package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"sync/atomic"
	"time"

	"github.com/gitboot/gitboot/internal/progress"
)

// A squasher is the body of a request that sends a layer: its reader gets the
// compressed bytes as they come about.
type squasher struct {
	*io.PipeReader
	done chan struct{}
	err  error // of reading or compressing the layer, once done
	sum  hash.Hash
	size int64
	task *progress.Task
	read int64 // of the tar
}

func newSquasher(ctx context.Context, kind string, l UploadLayer, task *progress.Task) *squasher {
	r, w := io.Pipe()
	s := &squasher{PipeReader: r, done: make(chan struct{}), sum: sha256.New(), task: task}
	go func() {
		defer close(s.done)
		s.err = s.run(ctx, io.MultiWriter(w, s), kind, l)
		w.CloseWithError(s.err)
	}()
	return s
}

// Write notes what is sent.
func (s *squasher) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	return s.sum.Write(p)
}

func (s *squasher) run(ctx context.Context, to io.Writer, kind string, l UploadLayer) (err error) {
	in, err := l.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	z, err := newCompressor(to, kind)
	if err != nil {
		return err
	}
	tar := sha256.New()
	if s.read, err = io.Copy(z, io.TeeReader(in, io.MultiWriter(tar, s.task))); err != nil {
		return errors.Join(err, z.Close())
	}
	if got := "sha256:" + hex.EncodeToString(tar.Sum(nil)); got != l.DiffID {
		return errors.Join(&DigestError{"layer " + l.DiffID, "the engine's store", l.DiffID, got}, z.Close())
	}
	return z.Close()
}

// end waits for the layer's reader and says what went wrong first: what ends
// the request is not news when the layer could not be read.
func (s *squasher) end(sent error) error {
	s.PipeReader.Close()
	<-s.done
	if s.err != nil && !errors.Is(s.err, io.ErrClosedPipe) {
		return &layerError{s.err}
	}
	if sent == nil && s.err != nil {
		sent = errors.New("the registry did not wait for the layer's end")
	}
	if sent != nil {
		s.task.Add(-s.read) // it is sent again, or not at all
	}
	return sent
}

// A layerError is a fault of the layer, which sending it again does not mend.
type layerError struct{ error }

func (e *layerError) Unwrap() error { return e.error }

// A sentBody is what a request sends. The time that its source takes does not
// count as the server's silence. A server that takes a byte now and then is as one
// that takes none.
type sentBody struct {
	io.ReadCloser
	w      *watchdog
	closed atomic.Bool
	pace
	n    int // bytes that are being sent, since from
	from time.Time
}

// errSentBefore ends a request that was begun anew, with another login, after
// some of its body was gone.
var errSentBefore = errors.New("the login ran out on the way")

func (b *sentBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, errSentBefore
	}
	b.w.timer.Stop()
	if b.n > 0 {
		b.weigh(b.w, b.n, time.Since(b.from))
	}
	n, err := b.ReadCloser.Read(p)
	b.n, b.from = n, time.Now()
	b.w.kick()
	return n, err
}

func (b *sentBody) Close() error {
	b.closed.Store(true)
	return b.ReadCloser.Close()
}
