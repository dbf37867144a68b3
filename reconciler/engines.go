package reconciler

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
)

// Buildkit says how a builder that is a BuildKit daemon is reached.
type Buildkit struct {
	// Program is gitboot-buildkit, which speaks to it.
	Program string
	Builder protocol.Builder
}

// EngineNames are those of the engines that this gitboot has.
func EngineNames() []string { return []string{"buildah", "podman", "docker", "buildkit"} }

func (b *observedBuild) engineName(fallback string) string {
	return cmp.Or(b.want.Build.Engine, fallback, "buildah")
}

// engine returns the engine that builds an image. It need not be there yet:
// its Check says so.
func (r *Reconciler) engine(b *observedBuild) (engine.Engine, error) {
	dir := cmp.Or(r.BuildDir, r.stage.Engine())
	switch name := b.engineName(r.Engine); name {
	case "buildah":
		return engine.NewBuildah(engine.BuildahOptions{Dir: dir})
	case "podman":
		return engine.NewPodman(engine.BuildahOptions{Dir: dir})
	case "buildkit":
		return engine.NewBuildkit(engine.BuildkitOptions{Dir: dir, Program: r.Buildkit.Program, Builder: r.Buildkit.Builder})
	case "docker":
		return engine.NewDocker(engine.DockerOptions{Dir: dir, Program: r.Buildkit.Program, Socket: r.DockerSocket})
	default:
		return nil, fmt.Errorf("engine %q is not supported by this gitboot; use one of %s, or let another machine build and push the image", name, strings.Join(EngineNames(), ", "))
	}
}
