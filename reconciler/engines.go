package reconciler

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/gitboot/gitboot/image/build"
	"github.com/gitboot/gitboot/image/build/buildkit/handoff"
)

// Buildkit says how a builder that is a BuildKit daemon is reached.
type Buildkit struct {
	// Program is gitboot-buildkit, which speaks to it.
	Program string
	Builder handoff.Builder
}

// EngineNames are those of the engines that this gitboot has.
func EngineNames() []string { return []string{"buildah", "podman", "docker", "buildkit"} }

func (b *observedBuild) engineName(fallback string) string {
	return cmp.Or(b.want.Build.Engine, fallback, "buildah")
}

// engine returns the engine that builds an image. It need not be there yet:
// its Check says so.
func (r *Reconciler) engine(b *observedBuild) (build.Engine, error) {
	dir := cmp.Or(r.BuildDir, r.stage.Engine())
	switch name := b.engineName(r.Engine); name {
	case "buildah":
		return build.NewBuildah(build.BuildahOptions{Dir: dir})
	case "podman":
		return build.NewPodman(build.BuildahOptions{Dir: dir})
	case "buildkit":
		return build.NewBuildkit(build.BuildkitOptions{Dir: dir, Program: r.Buildkit.Program, Builder: r.Buildkit.Builder})
	case "docker":
		return build.NewDocker(build.DockerOptions{Dir: dir, Program: r.Buildkit.Program, Socket: r.DockerSocket})
	default:
		return nil, fmt.Errorf("engine %q is not supported by this gitboot; use one of %s, or let another machine build and push the image", name, strings.Join(EngineNames(), ", "))
	}
}
