// Package engines knows all engines by name.
package engines

import (
	"fmt"
	"strings"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/buildah"
	"github.com/gitboot/gitboot/build/engine/buildkit"
	"github.com/gitboot/gitboot/build/engine/docker"
	"github.com/gitboot/gitboot/build/engine/podman"
	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
)

// Options says where engines work, and how those are reached that are daemons.
type Options struct {
	// Dir is the folder of all engines: each has one of its own in it.
	Dir string
	// Program is gitboot-buildkit, which speaks to daemons.
	Program string
	Builder protocol.Builder
	// DockerSocket is where a docker daemon listens, "" for docker's own
	// default.
	DockerSocket string
}

// Default is the engine where none is named.
const Default = "buildah"

// known are all engines. What a config repo may name stands in spec/table/checks.go,
// too.
var known = []struct {
	name string
	open func(Options) (engine.Engine, error)
}{
	{"buildah", func(o Options) (engine.Engine, error) { return buildah.New(buildah.Options{Dir: o.Dir}) }},
	{"podman", func(o Options) (engine.Engine, error) { return podman.New(buildah.Options{Dir: o.Dir}) }},
	{"docker", func(o Options) (engine.Engine, error) {
		return docker.New(docker.Options{Dir: o.Dir, Speaker: buildkit.Speaker(o.Program), Socket: o.DockerSocket})
	}},
	{"buildkit", func(o Options) (engine.Engine, error) {
		return buildkit.New(buildkit.Options{Dir: o.Dir, Speaker: buildkit.Speaker(o.Program), Builder: o.Builder})
	}},
}

// Names are those of all engines.
func Names() (names []string) {
	for _, k := range known {
		names = append(names, k.name)
	}
	return names
}

// Open returns an engine by its name. It need not be there yet: its Check says
// so.
func Open(name string, opts Options) (engine.Engine, error) {
	for _, k := range known {
		if k.name == name {
			return k.open(opts)
		}
	}
	return nil, fmt.Errorf("engine %q is not supported by this gitboot; use one of %s, or let another machine build and push the image", name, strings.Join(Names(), ", "))
}
