package reconciler

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/engines"
	"github.com/gitboot/gitboot/spec"
)

// DefaultCacheSize bounds an engine's store where nothing else is said.
const DefaultCacheSize = 20_000_000_000

// collectCaches bounds what the engines keep, now that builds have added to
// it. What was built stands, whatever comes of this.
func (r *Reconciler) collectCaches(ctx context.Context, o *observation) {
	limit := r.cacheSize()
	if slices.ContainsFunc(o.builds, func(b *observedBuild) bool { return errors.As(b.err, new(*engine.FullError)) }) {
		limit = 1 // all that is not needed, for the next try
	}
	collected := map[string]bool{}
	for _, b := range o.builds {
		e, err := r.engine(b)
		if err != nil || !b.ran && b.err == nil || collected[e.Name()] {
			continue
		}
		collected[e.Name()] = true
		freed, err := e.Collect(ctx, o.state.stored(), limit)
		switch {
		case err != nil:
			r.Log.Warn("the engine's old build cache stays", "engine", e.Name(), "error", err)
		case freed > 0:
			r.Log.Info("collected the engine's old build cache", "engine", e.Name(), "bytes", freed)
		}
	}
}

// CollectCaches brings all engines' stores below the bound and says how many
// bytes that has freed. The caller holds the stage's lock.
func (r *Reconciler) CollectCaches(ctx context.Context) (freed int64, err error) {
	state, err := LoadState(r.Stage)
	if err != nil {
		return 0, err
	}
	for _, name := range engines.Names() {
		e, err := r.engine(&observedBuild{want: spec.Image{Build: &spec.Build{Engine: name}}})
		if err != nil {
			return freed, err
		}
		n, err := e.Collect(ctx, state.stored(), r.cacheSize())
		if err != nil {
			return freed, err
		}
		freed += n
	}
	return freed, nil
}

func (r *Reconciler) cacheSize() int64 { return cmp.Or(r.CacheSize, DefaultCacheSize) }

// stored names what an engine's store has to hold: what was built, and the
// bases of that.
func (s *State) stored() (ids []string) {
	for _, b := range s.Builds {
		ids = append(ids, b.ID, b.BaseID)
	}
	return ids
}
