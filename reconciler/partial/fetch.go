package partial

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/image"
)

const (
	// tries is how often a run is asked for where several sources give wrong chunks.
	tries = 3
	// window bounds what the decoder of a chunk allocates.
	window = 8 << 20
)

// A fetcher fetches what lacks into a spool, decompressed.
type fetcher struct {
	part  func(ctx context.Context, off, n int64) (image.Part, error)
	spool *os.File
	// fetched is told of what has come.
	fetched io.Writer
}

// newSpool makes a file without a name.
func newSpool(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "parts-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// all fetches runs, in their order, some side by side.
func (f fetcher) all(ctx context.Context, runs []*run) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(requestsAtOnce)
	for _, r := range runs {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			if err := f.run(ctx, r); err != nil {
				return err
			}
			close(r.done)
			return nil
		})
	}
	return group.Wait()
}

// run fetches a run, what of it was wrong again from somebody else.
func (f fetcher) run(ctx context.Context, r *run) error {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		return err
	}
	defer d.Close()
	left := r.pieces
	for try := 1; ; try++ {
		part, err := f.part(ctx, left[0].Offset, r.end-left[0].Offset)
		if err != nil {
			return err
		}
		if left, err = f.take(part, d, left); errors.Is(err, errWrongChunk) {
			part.Reject()
		}
		if err = errors.Join(err, part.Close()); err == nil || !errors.Is(err, errWrongChunk) || try == tries {
			return err
		}
	}
}

// errWrongChunk says that a chunk is not what its table says.
var errWrongChunk = errors.New("is not what its table of contents says")

// take writes the pieces that a part gives, and returns those that are left.
func (f fetcher) take(part io.Reader, d *zstd.Decoder, list []*piece) ([]*piece, error) {
	at, told := list[0].Offset, io.TeeReader(part, f.fetched)
	for len(list) > 0 {
		p := list[0]
		if _, err := io.CopyN(io.Discard, told, p.Offset-at); err != nil {
			return list, err
		}
		packed := &counted{Reader: io.LimitReader(told, p.End-p.Offset)}
		if err := f.unpack(d, packed, p); err != nil {
			return list, err
		}
		at, list = p.End, list[1:]
	}
	return nil, nil
}

// A counted reader remembers why reading failed, which a decoder may not tell.
type counted struct {
	io.Reader
	err error
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// unpack decompresses a chunk into the spool.
func (f fetcher) unpack(d *zstd.Decoder, packed *counted, p *piece) error {
	if err := d.Reset(packed); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(io.NewOffsetWriter(f.spool, p.at), sum), io.LimitReader(d, p.Size+1))
	switch {
	case packed.err != nil:
		return packed.err
	case err != nil:
		return fmt.Errorf("the chunk at %d %w: %w", p.Offset, errWrongChunk, err)
	case n != p.Size || [sha256.Size]byte(sum.Sum(nil)) != p.Digest:
		return fmt.Errorf("the chunk at %d %w", p.Offset, errWrongChunk)
	}
	_, err = io.Copy(io.Discard, packed)
	return err
}
