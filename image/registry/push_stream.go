package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/untrusted"
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
		return errors.Join(&untrusted.DigestError{What: "layer " + l.DiffID, From: "the engine's store", Want: l.DiffID, Got: got}, z.Close())
	}
	return z.Close()
}

// end waits for the layer's reader and says what went wrong first: what ends
// the request is not news when the layer could not be read.
func (s *squasher) end(sent error) error {
	s.PipeReader.Close()
	<-s.done
	if s.err != nil && !errors.Is(s.err, io.ErrClosedPipe) {
		return &exchange.LayerError{Err: s.err}
	}
	if sent == nil && s.err != nil {
		sent = errors.New("the registry did not wait for the layer's end")
	}
	if sent != nil {
		s.task.Add(-s.read) // it is sent again, or not at all
	}
	return sent
}
