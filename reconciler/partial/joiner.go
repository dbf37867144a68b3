package partial

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/chunked"
	"github.com/gitboot/gitboot/image/tarsplit"
	"github.com/gitboot/gitboot/internal/progress"
)

// A joiner writes a layer's tar out of files that are here and what has been fetched.
type joiner struct {
	pieces
	older *older
	spool *os.File
	// split is what tar-split has kept, as it lies in the blob, of size bytes.
	split []byte
	size  int64
	task  *progress.Task
	gauge *gauge
	// fetched is closed when nothing more comes.
	fetched chan struct{}
}

// begin makes a joiner, whose end must be called.
func (a *assembly) begin(ctx context.Context) (*joiner, error) {
	c := a.layer.Chunked
	j := &joiner{pieces: a.pieces(), older: newOlder(a.stage, a.older), size: c.TarSplit.Size, fetched: make(chan struct{})}
	err := a.stage.HasRoom(j.pieces.spool)
	if err != nil {
		return nil, err
	}
	if j.spool, err = newSpool(a.stage.Temp()); err != nil {
		return nil, err
	}
	j.task = progress.StartLayer(a.progress, "pull parts of "+a.name, a.layer.DiffID, j.fetch)
	if j.split, err = c.Section(ctx, c.TarSplit, a.split); err != nil {
		return nil, j.end(err)
	}
	j.task.Add(c.TarSplit.Length)
	j.gauge = newGauge(j.task)
	return j, nil
}

// end closes what is open, and returns why it ended.
func (j *joiner) end(err error) error {
	err = errors.Join(err, j.older.close(), j.spool.Close())
	j.task.End(err)
	return err
}

// fetchLacking fetches what lacks.
func (j *joiner) fetchLacking(ctx context.Context, part func(ctx context.Context, off, n int64) (image.Part, error)) error {
	defer close(j.fetched)
	return fetcher{part, j.spool, j.gauge}.all(ctx, j.runs)
}

// dearer reports whether the layer, of so many bytes, comes sooner whole.
func (j *joiner) dearer(ctx context.Context, whole int64) bool {
	coming := j.gauge.speed(ctx, j.fetched)
	reading, err := j.readingSpeed(ctx)
	return err == nil && dearer(whole, j.content, coming, reading)
}

// join writes the tar, in the order of what tar-split has kept.
func (j *joiner) join(ctx context.Context, to io.Writer) error {
	split, err := chunked.Decompress(j.split, j.size)
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
