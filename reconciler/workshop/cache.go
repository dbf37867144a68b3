package workshop

import (
	"context"
	"errors"
	"slices"

	"github.com/gitboot/gitboot/build/engine"
)

// collectCaches bounds what the engines keep, now that builds have added to
// it. What was built stands, whatever comes of this.
func (j maker) collectCaches(ctx context.Context) {
	limit := j.cacheSize()
	if slices.ContainsFunc(j.builds, func(b *build) bool { return errors.As(b.err, new(*engine.FullError)) }) {
		limit = 1 // all that is not needed, for the next try
	}
	collected := map[string]bool{}
	for _, b := range j.builds {
		e, err := j.engine(b)
		if err != nil || !b.ran && b.err == nil || collected[e.Name()] {
			continue
		}
		collected[e.Name()] = true
		freed, err := e.Collect(ctx, j.doc.Stored(), limit)
		switch {
		case err != nil:
			j.Log.Warn("the engine's old build cache stays", "engine", e.Name(), "error", err)
		case freed > 0:
			j.Log.Info("collected the engine's old build cache", "engine", e.Name(), "bytes", freed)
		}
	}
}
