package partial

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/image/chunked"
	"github.com/gitboot/gitboot/image/tarsplit"
	"github.com/gitboot/gitboot/internal/progress"
)

// A joiner writes a layer's tar out of files that are here and what has been fetched.
type joiner struct {
	pieces
	older *older
	spool *os.File
}

// write writes the tar, while it fetches what lacks.
func (a *assembly) write(ctx context.Context, to io.Writer) (err error) {
	j := &joiner{pieces: a.pieces(), older: newOlder(a.stage, a.older)}
	if err := a.stage.HasRoom(j.pieces.spool); err != nil {
		return err
	}
	if j.spool, err = newSpool(a.stage.Temp()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.older.close(), j.spool.Close()) }()
	task := progress.StartLayer(a.progress, "pull parts of "+a.name, a.layer.DiffID, j.fetch)
	defer func() { task.End(err) }()
	c := a.layer.Chunked
	split, err := c.Section(ctx, c.TarSplit, a.split)
	if err != nil {
		return err
	}
	task.Add(c.TarSplit.Length)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return fetcher{c.Part, j.spool, task}.all(ctx, j.runs) })
	group.Go(func() error { return j.join(ctx, to, split, c.TarSplit.Size) })
	return group.Wait()
}

// join writes it in the order of what tar-split has kept.
func (j *joiner) join(ctx context.Context, to io.Writer, packed []byte, size int64) error {
	split, err := chunked.Decompress(packed, size)
	if err != nil {
		return err
	}
	defer split.Close()
	return tarsplit.Assemble(ctx, to, split, func(to io.Writer, name string, size int64) error {
		for _, p := range j.of[name] {
			if size -= p.Size; size < 0 {
				break
			}
			if err := j.copy(ctx, to, p); err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
		}
		if size != 0 {
			return fmt.Errorf("%q has another length in the archive than in the table of contents", name)
		}
		return nil
	})
}

// copy writes a piece. What is read of older objects is compared with its digest.
func (j *joiner) copy(ctx context.Context, to io.Writer, p *piece) error {
	if p.place != nil {
		sum := sha256.New()
		if err := j.older.copy(io.MultiWriter(to, sum), *p.place, p.Size); err != nil {
			return err
		}
		if [sha256.Size]byte(sum.Sum(nil)) != p.Digest {
			return fmt.Errorf("%s in object %s is not what was told of it", p.place.path, j.older.objects[p.place.object].Path())
		}
		return nil
	}
	select {
	case <-p.run.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	_, err := io.Copy(to, io.NewSectionReader(j.spool, p.at, p.Size))
	return err
}
