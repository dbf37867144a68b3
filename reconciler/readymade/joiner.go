package readymade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/rootfs/blockmap"
)

const (
	// tries is how often a run is asked for where several sources give wrong blocks.
	tries = 3
	// maxWrong is how many blocks that are here may be damaged.
	maxWrong = 64
)

// A joiner puts an object together.
type joiner struct {
	blocks  blockmap.Map
	places  []blockmap.Place
	missing []blockmap.Run
	part    func(ctx context.Context, off, n int64) (image.Part, error)
	// files are those that places number.
	files []string
	// patch makes blocks that are missing, nil if none does.
	patch *patch
	// unfit says that it was not worth fetching.
	unfit bool
	log   *slog.Logger
}

// join puts together what is here, what is made of it and what is fetched.
func (j *joiner) join(ctx context.Context, to io.WriterAt, fetched io.Writer) error {
	if j.patch == nil {
		return j.merge(ctx, to, fetched)
	}
	made, err := j.patch.make(ctx, j.blocks, fetched)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		j.log.Warn("blocks are fetched: a patch that would make them is of no use here", "error", err)
		return j.merge(ctx, to, fetched)
	}
	defer made.Discard()
	with, err := j.with(ctx, made.Name())
	if err != nil {
		return err
	}
	if spared := lengthOf(j.missing) - lengthOf(with.missing); spared <= j.patch.Size {
		j.unfit = true
		j.log.Info("blocks are fetched: what a patch makes comes out otherwise here, and none is fetched of the next images", "patch", j.patch.Size, "spared", spared)
	}
	return with.merge(ctx, to, fetched)
}

// with returns a joiner that finds blocks in one file more.
func (j *joiner) with(ctx context.Context, path string) (*joiner, error) {
	m, err := mapOfFile(ctx, path)
	if err != nil {
		return nil, err
	}
	search := j.blocks.Search()
	search.In(len(j.files), m)
	w := *j
	w.files, w.places = append(slices.Clone(j.files), path), slices.Clone(j.places)
	for i, at := range search.Places() {
		if w.places[i] == blockmap.Nowhere {
			w.places[i] = at
		}
	}
	w.missing = j.blocks.Missing(w.places, gap, maxRequests)
	return &w, nil
}

// merge copies what is here while it fetches what is not.
func (j *joiner) merge(ctx context.Context, to io.WriterAt, fetched io.Writer) error {
	group, ctx := errgroup.WithContext(ctx)
	fetched = &oneByOne{Writer: fetched}
	group.Go(func() error { return j.copyFound(ctx, to, fetched) })
	group.Go(func() error {
		fetching, ctx := errgroup.WithContext(ctx)
		fetching.SetLimit(requestsAtOnce)
		for _, run := range j.missing {
			fetching.Go(func() error { return j.fetch(ctx, run, to, fetched) })
		}
		return fetching.Wait()
	})
	return group.Wait()
}

// copyFound copies the blocks that are in files. One that is another there, as an older
// object is damaged, is fetched.
func (j *joiner) copyFound(ctx context.Context, to io.WriterAt, fetched io.Writer) (err error) {
	files := make([]*os.File, len(j.files))
	defer func() {
		for _, f := range files {
			if f != nil {
				err = errors.Join(err, f.Close())
			}
		}
	}()
	buf, off, missing, wrong := make([]byte, blockmap.MaxBlock), int64(0), j.missing, 0
	for i, b := range j.blocks {
		for len(missing) > 0 && missing[0].End <= i {
			missing = missing[1:]
		}
		if at := j.places[i]; len(missing) == 0 || i < missing[0].First {
			if err := ctx.Err(); err != nil {
				return err
			}
			if files[at.File] == nil {
				if files[at.File], err = os.Open(j.files[at.File]); err != nil {
					return err
				}
			}
			if _, err := files[at.File].ReadAt(buf[:b.Length], at.Offset); err != nil {
				return err
			}
			if data := buf[:b.Length]; b.Is(data) {
				_, err = to.WriteAt(data, off)
			} else if wrong++; wrong <= maxWrong {
				err = j.fetch(ctx, blockmap.Run{First: i, End: i + 1, Offset: off, Length: int64(b.Length)}, to, fetched)
			} else {
				err = fmt.Errorf("more than %d blocks of %s are damaged", maxWrong, j.files[at.File])
			}
			if err != nil {
				return err
			}
		}
		off += int64(b.Length)
	}
	return nil
}

// fetch fetches blocks that follow upon each other, those again that were wrong from
// somebody else.
func (j *joiner) fetch(ctx context.Context, run blockmap.Run, to io.WriterAt, fetched io.Writer) error {
	for try := 1; ; try++ {
		part, err := j.part(ctx, run.Offset, run.Length)
		if err != nil {
			return err
		}
		run, err = j.take(part, run, to, fetched)
		if errors.Is(err, errWrongBlock) {
			part.Reject()
		}
		if err = errors.Join(err, part.Close()); err == nil || !errors.Is(err, errWrongBlock) || try == tries {
			return err
		}
	}
}

// errWrongBlock says that a block is not what the map says.
var errWrongBlock = errors.New("is not what its map says")

// take writes the blocks of a run that a part gives, and returns what is left of the
// run.
func (j *joiner) take(part io.Reader, run blockmap.Run, to io.WriterAt, fetched io.Writer) (blockmap.Run, error) {
	buf := make([]byte, blockmap.MaxBlock)
	for run.First < run.End {
		b := j.blocks[run.First]
		data := buf[:b.Length]
		n, err := io.ReadFull(part, data)
		if _, told := fetched.Write(data[:n]); told != nil {
			return run, told
		}
		if err != nil {
			return run, err
		}
		if !b.Is(data) {
			return run, fmt.Errorf("block %d, at %d, %w", run.First, run.Offset, errWrongBlock)
		}
		if _, err := to.WriteAt(data, run.Offset); err != nil {
			return run, err
		}
		run.First, run.Offset, run.Length = run.First+1, run.Offset+int64(b.Length), run.Length-int64(b.Length)
	}
	return run, nil
}

// oneByOne has several write one after the other.
type oneByOne struct {
	mu sync.Mutex
	io.Writer
}

func (w *oneByOne) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Writer.Write(p)
}
