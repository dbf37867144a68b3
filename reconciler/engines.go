package reconciler

import (
	"cmp"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/engines"
	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
)

// Buildkit says how a builder that is a BuildKit daemon is reached.
type Buildkit struct {
	// Program is gitboot-buildkit, which speaks to it.
	Program string
	Builder protocol.Builder
}

func (b *observedBuild) engineName(fallback string) string {
	return cmp.Or(b.want.Build.Engine, fallback, engines.Default)
}

// engine returns the engine that builds an image. It need not be there yet:
// its Check says so.
func (r *Reconciler) engine(b *observedBuild) (engine.Engine, error) {
	return engines.Open(b.engineName(r.Engine), engines.Options{
		Dir: cmp.Or(r.BuildDir, r.stage.Engine()), Program: r.Buildkit.Program, Builder: r.Buildkit.Builder, DockerSocket: r.DockerSocket,
	})
}
