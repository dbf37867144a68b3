package readymade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/rootfs/blockmap"
	"github.com/gitboot/gitboot/stage"
)

// maxWrong is how many blocks that are here may be damaged.
const maxWrong = 64

// A joiner puts an object together.
type joiner struct {
	blocks  blockmap.Map
	places  []blockmap.Place
	missing []blockmap.Run
	stage   *stage.Stage
	part    func(ctx context.Context, off, n int64) (image.Part, error)
	// files are those that places number.
	files []string
	// patch makes blocks that are missing, nil if none does.
	patch *patch
	// unfit says that it was not worth fetching.
	unfit bool
	// spared is how much of what is missing was packed here.
	spared int64
	log    *slog.Logger
}

// join puts together what is here, what is made of it and what is fetched.
func (j *joiner) join(ctx context.Context, to *os.File, fetched io.Writer) error {
	fetched = &oneByOne{Writer: fetched}
	with, made, err := j.patched(ctx, fetched)
	if err != nil {
		return err
	}
	if made != nil {
		defer made.Discard()
	}
	left, packed, err := with.repacked(ctx, to, fetched)
	if err != nil {
		return err
	}
	if packed != nil {
		defer packed.Discard()
	}
	j.spared = with.spared
	return left.merge(ctx, to, fetched)
}

// patched returns a joiner that has the blocks that the patch makes, and the file that they
// are in, nil if there is none.
func (j *joiner) patched(ctx context.Context, fetched io.Writer) (*joiner, *durable.File, error) {
	if j.patch == nil {
		return j, nil, nil
	}
	made, err := j.patch.make(ctx, j.blocks, fetched)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		j.log.Warn("blocks are fetched: a patch that would make them is of no use here", "error", err)
		return j, nil, nil
	}
	with, err := j.with(ctx, made.Name())
	if err != nil {
		made.Discard()
		return nil, nil, err
	}
	if spared := lengthOf(j.missing) - lengthOf(with.missing); spared <= j.patch.Size {
		j.unfit = true
		j.log.Info("blocks are fetched: what a patch makes comes out otherwise here, and none is fetched of the next images", "patch", j.patch.Size, "spared", spared)
	}
	return with, made, nil
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
	w.look()
	return &w, nil
}

// look finds out what is missing.
func (j *joiner) look() {
	j.blocks.Repeated(j.places)
	j.missing = j.blocks.Missing(j.places, gap, maxRequests)
}

// but returns a joiner that leaves blocks as they are which are there, or come later.
func (j *joiner) but(there func(i int) bool) *joiner {
	w, off := *j, int64(0)
	w.places = slices.Clone(j.places)
	for i, b := range j.blocks {
		if there(i) {
			w.places[i] = blockmap.Place{File: blockmap.Itself, Offset: off}
		} else if at := w.places[i]; at.File == blockmap.Itself && at.Offset != off {
			w.places[i] = blockmap.Nowhere // the other one may come later
		}
		off += int64(b.Length)
	}
	w.look()
	return &w
}

// merge copies what is here while it fetches what is not, and then what is there twice.
func (j *joiner) merge(ctx context.Context, to *os.File, fetched io.Writer) error {
	if err := j.mergeOnce(ctx, to, fetched); err != nil {
		return err
	}
	buf, off := make([]byte, blockmap.MaxBlock), int64(0)
	for i, b := range j.blocks {
		if at := j.places[i]; at.File == blockmap.Itself && at.Offset != off {
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := to.ReadAt(buf[:b.Length], at.Offset); err != nil {
				return err
			}
			if _, err := to.WriteAt(buf[:b.Length], off); err != nil {
				return err
			}
		}
		off += int64(b.Length)
	}
	return nil
}

// mergeOnce leaves out what is there twice.
func (j *joiner) mergeOnce(ctx context.Context, to io.WriterAt, fetched io.Writer) error {
	group, ctx := errgroup.WithContext(ctx)
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
		if at := j.places[i]; at.File != blockmap.Itself && (len(missing) == 0 || i < missing[0].First) {
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
