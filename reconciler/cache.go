package reconciler

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/gitboot/gitboot/image/build"
)

// DefaultCacheSize bounds an engine's store where nothing else is said.
const DefaultCacheSize = 20_000_000_000

// collectCaches bounds what the engines keep, now that builds have added to
// it. What was built stands, whatever comes of this.
func (r *Reconciler) collectCaches(ctx context.Context, o *observation) {
	keep := o.state.stored()
	limit := cmp.Or(r.CacheSize, DefaultCacheSize)
	if slices.ContainsFunc(o.builds, func(b *observedBuild) bool { return errors.As(b.err, new(*build.FullError)) }) {
		limit = 1 // all that is not needed, for the next try
	}
	collected := map[string]bool{}
	for _, b := range o.builds {
		engine, err := r.engine(b)
		if err != nil || !b.ran && b.err == nil || collected[engine.Name()] {
			continue
		}
		collected[engine.Name()] = true
		freed, err := engine.Collect(ctx, keep, limit)
		switch {
		case err != nil:
			r.Log.Warn("the engine's old build cache stays", "engine", engine.Name(), "error", err)
		case freed > 0:
			r.Log.Info("collected the engine's old build cache", "engine", engine.Name(), "bytes", freed)
		}
	}
}

// stored names what an engine's store has to hold: what was built, and the
// bases of that.
func (s *State) stored() (ids []string) {
	for _, b := range s.Builds {
		ids = append(ids, b.ID, b.BaseID)
	}
	return ids
}
