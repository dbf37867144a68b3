package readymade

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/objects"
	"github.com/gitboot/gitboot/rootfs/blockmap"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/contents"
	"github.com/gitboot/gitboot/stage/squash"
)

const (
	// gap is how many bytes that are here are fetched all the same where that spares
	// a request, maxRequests how many requests there may be, and requestsAtOnce how
	// many side by side: most of the time of a small one is the way there and back.
	gap            = 4 << 10
	maxRequests    = 512
	requestsAtOnce = 4
)

// blockMap says of what blocks an object consists: as is kept of it, or as it is read.
func blockMap(ctx context.Context, st *stage.Stage, o deployment.Object) (m blockmap.Map, kept bool, err error) {
	if data, err := contents.Of(st, o, contents.Blocks); err == nil && data != nil {
		if m, err := blockmap.Parse(data, o.Size); err == nil {
			return m, true, nil
		}
	}
	if m, err = mapOfFile(ctx, st.ObjectPath(o)); err != nil {
		return nil, false, fmt.Errorf("blocks of object %s: %w", o.SHA256, err)
	}
	return m, false, nil
}

func mapOfFile(ctx context.Context, path string) (blockmap.Map, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return blockmap.Of(ctx, f, info.Size())
}

// Learned are block maps of objects that the stage has, or will have, which it does not
// keep yet.
type Learned map[deployment.Object]blockmap.Map

// keptFrom is the smallest object whose map is kept: smaller ones are read as soon.
const keptFrom = 1 << 20

func (l Learned) add(o deployment.Object, m blockmap.Map) {
	if o.Size >= keptFrom {
		l[o] = m
	}
}

// Keep keeps them on the stage, for the next image. The caller holds the stage's lock.
func (l Learned) Keep(st *stage.Stage) error {
	for o, m := range l {
		if err := contents.Put(st, o, contents.Blocks, m.Encode()); err != nil {
			return err
		}
	}
	return nil
}

func blocksFile(data []byte) image.ArtifactFile {
	return image.ArtifactFile{
		MediaType: objects.Blocks, SHA256: fmt.Sprintf("%x", sha256.Sum256(data)), Size: int64(len(data)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}

// A Finder finds out how objects are had for fewer bytes than they have.
type Finder struct {
	Stage *stage.Stage
	// Older are objects of the stage that may have blocks of them, the likeliest first.
	Older []deployment.Object
	// Unpatched says that patches are of no use here.
	Unpatched bool
	Log       *slog.Logger
}

// ByBlocks finds out which blocks of objects are in older ones, and what maps it has
// learned on the way. Of an object for which there is no cheaper way it says nil; of nil,
// nil. What is fetched for that are the block maps. A map that cannot be had, and an older
// object that cannot be read, do not help.
func (f Finder) ByBlocks(ctx context.Context, list []*image.Made) ([]*squash.Blocks, Learned, error) {
	ways, learned := make([]*squash.Blocks, len(list)), Learned{}
	if len(f.Older) == 0 {
		return ways, nil, nil
	}
	maps := make([]blockmap.Map, len(list))
	group, mapCtx := errgroup.WithContext(ctx)
	group.SetLimit(requestsAtOnce)
	for i, made := range list {
		if made != nil && made.BlockMap != nil {
			group.Go(func() error { return f.fetchMap(mapCtx, made, &maps[i]) })
		}
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	places, err := f.search(ctx, slices.Concat(maps...), learned)
	if err != nil {
		return nil, nil, err
	}
	for i, m := range maps {
		if ways[i] = f.way(list[i], m, places[:len(m)]); m != nil {
			learned.add(deployment.Object{SHA256: list[i].SHA256, Size: list[i].Size}, m)
		}
		places = places[len(m):]
	}
	return ways, learned, nil
}

// fetchMap fetches one map, if it can be had.
func (f Finder) fetchMap(ctx context.Context, made *image.Made, m *blockmap.Map) error {
	data, err := made.BlockMap(ctx)
	if err == nil {
		*m, err = blockmap.Parse(data, made.Size)
	}
	if err != nil {
		f.Log.Warn("an object is fetched whole: which blocks it has cannot be read", "object", made.SHA256, "error", err)
	}
	return ctx.Err()
}

// search looks for blocks in all older objects.
func (f Finder) search(ctx context.Context, blocks blockmap.Map, learned Learned) ([]blockmap.Place, error) {
	search := blocks.Search()
	for i, o := range f.Older {
		if search.Done() {
			break
		}
		m, kept, err := blockMap(ctx, f.Stage, o)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			f.Log.Debug("an older object is of no use", "object", o.Path(), "error", err)
			continue
		}
		if search.In(i, m); !kept {
			learned.add(o, m)
		}
	}
	return search.Places(), nil
}

// way is how an object is had, nil if there is none that is cheaper than all of it.
func (f Finder) way(made *image.Made, m blockmap.Map, places []blockmap.Place) *squash.Blocks {
	if m == nil {
		return nil
	}
	j := &joiner{blocks: m, places: places, stage: f.Stage, part: made.Part, log: f.Log}
	j.look()
	for _, o := range f.Older {
		j.files = append(j.files, f.Stage.ObjectPath(o))
	}
	way := &squash.Blocks{Fetch: made.Blocks.Size + lengthOf(j.missing), Join: j.join, Spared: func() int64 { return j.spared }}
	for _, p := range made.Patches {
		if fetch := made.Blocks.Size + p.Size + p.Rest; fetch < way.Fetch && !f.Unpatched && f.has(p.From) {
			way.Fetch, way.Patch, j.patch = fetch, &squash.Patch{Room: mostPatched(m), Unfit: func() bool { return j.unfit }}, &patch{f.Stage, p}
		}
	}
	if way.Fetch >= made.Size {
		return nil
	}
	return way
}

// has reports whether all objects of a patch are among the older ones.
func (f Finder) has(from []string) bool {
	return !slices.ContainsFunc(from, func(sum string) bool {
		return !slices.ContainsFunc(f.Older, func(o deployment.Object) bool { return o.SHA256 == sum })
	})
}

func lengthOf(runs []blockmap.Run) (n int64) {
	for _, run := range runs {
		n += run.Length
	}
	return n
}
