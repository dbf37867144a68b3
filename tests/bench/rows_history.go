package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// The longer of the two histories, and the layers of the image in both: as many as
// overlayfs takes, but for a few.
const (
	longHistory = 181
	manyLayers  = 481
)

// historyIdle compares a run that has nothing to do on a stage of many generations
// with one on a stage of a single one.
func historyIdle(ctx context.Context, s *site, r row) (result, error) {
	return s.compareHistories(ctx, r, func(w *world, _ int) side {
		args := w.args("reconcile", "--once")
		return side{command: shown("reconcile --once"), run: func(ctx context.Context, _ int) (usage, error) {
			return command(ctx, args...)
		}}
	})
}

// historyNew compares what one generation more costs there.
func historyNew(ctx context.Context, s *site, r row) (result, error) {
	return s.compareHistories(ctx, r, func(w *world, n int) side {
		return w.ours(func(ctx context.Context, round int) error {
			return w.commit(ctx, historyConfig(w.ref, n, fmt.Sprint("round ", round)))
		})
	})
}

func (s *site) compareHistories(ctx context.Context, r row, do func(w *world, n int) side) (result, error) {
	var sides []side
	for _, n := range []int{longHistory, 1} {
		w, err := s.history(ctx, n)
		if err != nil {
			return result{}, err
		}
		sides = append(sides, do(w, n))
	}
	res, err := timed(ctx, r, sides[0], sides[1], func(ratio float64) check { return atMost(ratio, 2) })
	res.Note = fmt.Sprintf("Both images have %d layers. Each generation has another hook layer, and as many are kept as there are.", manyLayers)
	return res, err
}

// history is a world that has as many generations of one image of many layers as it
// keeps.
func (s *site) history(ctx context.Context, n int) (*world, error) {
	if w := s.histories[n]; w != nil {
		return w, nil
	}
	base, err := s.image(ctx, "zstd")
	if err != nil {
		return nil, err
	}
	ref, err := s.layered(ctx, base)
	if err != nil {
		return nil, err
	}
	w, err := s.configured(ctx, historyConfig(ref, n, "hello"))
	if err != nil {
		return nil, err
	}
	w.ref = ref
	for i := range n {
		if err := w.commit(ctx, historyConfig(ref, n, fmt.Sprint("generation ", i))); err != nil {
			return nil, err
		}
		if _, err := w.reconcile(ctx); err != nil {
			return nil, err
		}
	}
	kept, err := w.generations()
	if err == nil && kept != n {
		err = fmt.Errorf("there are %d generations on the stage instead of %d", kept, n)
	}
	s.histories[n] = w
	return w, err
}

// historyConfig is every world's config with another number of generations, and another
// text for a hook.
func historyConfig(ref string, keep int, motd string) string {
	return strings.NewReplacer("keep     = 10", fmt.Sprint("keep     = ", keep), `"hello"`, strconv.Quote(motd)).Replace(fmt.Sprintf(config, ref, ""))
}

// layered pushes the image ref with so many small layers more that it has manyLayers.
func (s *site) layered(ctx context.Context, ref string) (string, error) {
	return s.once("layered", func() (string, error) {
		from, err := name.NewTag(ref, name.Insecure)
		if err != nil {
			return "", err
		}
		img, err := remote.Image(from, remote.WithContext(ctx))
		if err != nil {
			return "", err
		}
		var more []v1.Layer
		for i := range manyLayers - 1 {
			layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(tarOf(fmt.Sprintf("opt/bench/%03d", i), []byte("small\n")))), nil
			})
			if err != nil {
				return "", err
			}
			more = append(more, layer)
		}
		if img, err = mutate.AppendLayers(img, more...); err != nil {
			return "", err
		}
		to := from.Context().Tag("layered")
		return to.Name(), remote.Write(to, img, remote.WithContext(ctx))
	})
}
