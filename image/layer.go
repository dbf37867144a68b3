package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitboot/gitboot/image/internal/expand"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/internal/progress"
)

// Open streams the layer's uncompressed tar. io.EOF is only ever returned
// once the whole blob was read and matched its digest and size; a blob that
// does not gives a *DigestError. The stream ends with ctx, and must be closed.
func (l Layer) Open(ctx context.Context) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	blob, err := l.blob(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	task := progress.StartLayer(l.progress, "pull "+shortDigest(l), l.DiffID, l.Size)
	r := &layerReader{name: shortDigest(l), raw: expand.NewAhead(blob, cancel), task: task}
	if r.tar, err = l.expansion.Open(io.TeeReader(r.raw, task), l.allowed, l.strip, "layer "+r.name, l.Size); err != nil {
		r.err = r.explain(err)
		return nil, errors.Join(r.err, r.Close())
	}
	if l.checkDiffID {
		want, err := v1.NewHash(l.DiffID)
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.tar = untrusted.NewVerifier(r.tar, want, -1, "layer "+l.DiffID, func() string { return "the archive" }, nil)
	}
	return r, nil
}

// Largest is how many bytes the layer may hold at most.
func (l Layer) Largest() int64 { return l.expansion.Bound(0) }

func shortDigest(l Layer) string {
	s := strings.TrimPrefix(l.Digest, "sha256:")
	if s == "" {
		s = strings.TrimPrefix(l.DiffID, "sha256:")
	}
	return s[:min(12, len(s))]
}

// A layerReader decompresses a verified blob.
type layerReader struct {
	name string
	raw  *expand.Ahead
	tar  io.ReadCloser
	task *progress.Task
	err  error
}

func (r *layerReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.tar.Read(p)
	if err != nil {
		r.err = r.explain(err)
	}
	return n, r.err
}

// explain reads the blob to its end. Only then is it known whether it was
// what it should be, and that is the answer: a decoder's complaint about
// false bytes is merely its consequence. Of a layer that is too large nothing
// more is read.
func (r *layerReader) explain(err error) error {
	if errors.As(err, new(*expand.ExpansionError)) {
		return err
	}
	if _, rawErr := io.Copy(io.Discard, io.TeeReader(r.raw, r.task)); rawErr != nil {
		return rawErr
	}
	if err != io.EOF {
		err = fmt.Errorf("decompress layer %s: %w", r.name, err)
	}
	return err
}

func (r *layerReader) Close() error {
	err := r.raw.Close()
	if r.tar != nil {
		err = errors.Join(err, r.tar.Close())
	}
	switch r.err {
	case io.EOF:
		r.task.End(nil)
	case nil:
		r.task.End(context.Canceled)
	default:
		r.task.End(r.err)
	}
	return err
}
