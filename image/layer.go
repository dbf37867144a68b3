package image

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gitboot/gitboot/image/chunked"
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
	if l.Chunked != nil {
		blob = &passing{ReadCloser: blob, of: l.Chunked}
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

// Stored streams the layer's blob as it is stored, verified as Open's stream is.
func (l Layer) Stored(ctx context.Context) (io.ReadCloser, error) { return l.blob(ctx) }

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

// A Chunked is a layer of which some pieces of files can be had without the others.
type Chunked struct {
	chunked.Form
	// Part reads some bytes of the blob.
	Part func(ctx context.Context, off, n int64) (Part, error)
	// Largest is how many bytes the layer may hold at most.
	Largest int64

	// table is that of contents, as it went by when the blob was read whole.
	table atomic.Pointer[[]byte]
}

// chunkedOf is how a layer is had by parts, nil where it cannot be: then it is read whole
// as any other.
func chunkedOf(from store, d v1.Descriptor, largest int64, log *slog.Logger) *Chunked {
	part := from.Parts(d.Digest, d.Size)
	if part == nil || d.MediaType != types.OCILayerZStd {
		return nil
	}
	form, err := chunked.Of(d.Annotations, d.Size)
	if err != nil {
		log.Warn("a layer is pulled whole: what it says of its parts cannot be read", "layer", d.Digest, "error", err)
	}
	if form == nil {
		return nil
	}
	return &Chunked{Form: *form, Part: part, Largest: largest}
}

func digestOf(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

// Contents is the layer's table of contents, which is fetched if it has not gone by.
func (c *Chunked) Contents(ctx context.Context) ([]byte, error) {
	if table := c.table.Load(); table != nil && digestOf(*table) == c.Checksum {
		return *table, nil
	}
	return c.Section(ctx, c.Table, c.Checksum)
}

// A passing reader keeps the table of contents of a blob that is read.
type passing struct {
	io.ReadCloser
	of    *Chunked
	at    int64
	table []byte
}

func (p *passing) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	begin, end := p.of.Table.Offset, p.of.Table.Offset+p.of.Table.Length
	if from, to := max(begin, p.at), min(end, p.at+int64(n)); from < to {
		p.table = append(p.table, b[from-p.at:to-p.at]...)
		if to == end {
			p.of.table.Store(&p.table)
		}
	}
	p.at += int64(n)
	return n, err
}

// sectionTries is how often a section is asked for where sources give something else.
const sectionTries = 3

// Section fetches a section, which must have this digest.
func (c *Chunked) Section(ctx context.Context, s chunked.Section, digest string) ([]byte, error) {
	for try := 1; ; try++ {
		part, err := c.Part(ctx, s.Offset, s.Length)
		if err != nil {
			return nil, err
		}
		data := make([]byte, s.Length)
		if _, err := io.ReadFull(part, data); err != nil {
			return nil, errors.Join(err, part.Close())
		}
		got := digestOf(data)
		if got != digest {
			part.Reject()
			err = fmt.Errorf("%d bytes from %d on have the digest %s instead of %s", s.Length, s.Offset, got, untrusted.Printable(digest, 80))
		}
		if err = errors.Join(err, part.Close()); err == nil {
			return data, nil
		}
		if got == digest || try == sectionTries {
			return nil, err
		}
	}
}
