package readymade

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/squash"
)

// A Tally counts what is fetched of an image's layers.
type Tally struct {
	mu          sync.Mutex
	bytes, vain int64
	// layers are those of which something was fetched, by their diff ids: the last way
	// that was taken, and what all of it is.
	layers map[string]fetchedLayer
	// unfit says that a patch was not worth fetching.
	unfit bool
}

type fetchedLayer struct {
	way   way
	whole int64
}

type way int

const (
	asLayer way = iota
	asObject
	byBlocks
	byParts
	byPatch
)

// Count returns a layer which is counted when it is fetched, of so many bytes as it is
// stored.
func (t *Tally) Count(src stage.Tar, stored int64) stage.Tar {
	if src.Made != nil {
		whole, made := src.Made.Object.Size, *src.Made
		made.Open = t.opened(src.DiffID, fetchedLayer{asObject, whole}, made.Open)
		if made.Blocks != nil {
			way := byBlocks
			if made.Blocks.Patch != nil {
				way = byPatch
			}
			made.Blocks = t.joined(src.DiffID, fetchedLayer{way, whole}, *made.Blocks)
		}
		src.Made = &made
	}
	if src.Partial != nil {
		joined := *src.Partial
		joined.Open = t.began(src.DiffID, fetchedLayer{byParts, stored}, joined.Fetch, joined.Open)
		src.Partial = &joined
	}
	src.Open = t.opened(src.DiffID, fetchedLayer{asLayer, stored}, src.Open)
	return src
}

func (t *Tally) opened(layer string, l fetchedLayer, open func(context.Context) (io.ReadCloser, error)) func(context.Context) (io.ReadCloser, error) {
	return t.began(layer, l, l.whole, open)
}

// began counts so many bytes of a layer when they begin to come.
func (t *Tally) began(layer string, l fetchedLayer, bytes int64, open func(context.Context) (io.ReadCloser, error)) func(context.Context) (io.ReadCloser, error) {
	return func(ctx context.Context) (io.ReadCloser, error) {
		r, err := open(ctx)
		if err == nil {
			t.add(layer, l, bytes)
		} else if dearer := new(squash.DearerError); errors.As(err, &dearer) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.bytes, t.vain = t.bytes+dearer.Spent, t.vain+dearer.Spent
		}
		return r, err
	}
}

func (t *Tally) joined(layer string, l fetchedLayer, b squash.Blocks) *squash.Blocks {
	join := b.Join
	b.Join = func(ctx context.Context, to *os.File, fetched io.Writer) error {
		t.add(layer, l, b.Fetch)
		err := join(ctx, to, fetched)
		t.add(layer, l, -b.Spared())
		if b.Patch != nil && b.Patch.Unfit() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.unfit = true
		}
		return err
	}
	return &b
}

func (t *Tally) add(layer string, l fetchedLayer, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.layers == nil {
		t.layers = map[string]fetchedLayer{}
	}
	t.layers[layer] = l
	t.bytes += bytes
}

// Fetched is what was counted, nil of nothing.
func (t *Tally) Fetched() *state.Fetched {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.layers) == 0 {
		return nil
	}
	f := &state.Fetched{Bytes: t.bytes, Vain: t.vain, Unfit: t.unfit}
	for _, l := range t.layers {
		f.Whole += l.whole
		switch l.way {
		case asLayer:
			f.Layers++
		case asObject:
			f.Objects++
		case byBlocks:
			f.Blocks++
		case byParts:
			f.Parts++
		case byPatch:
			f.Patches++
		}
	}
	return f
}

// Givers are those of whom something came, in their order.
func Givers(given image.Given) (from []state.Giver) {
	for by, n := range given {
		from = append(from, state.Giver{Kind: by.Kind, Host: by.Host, Bytes: n})
	}
	slices.SortFunc(from, func(a, b state.Giver) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Host, b.Host)) })
	return from
}
