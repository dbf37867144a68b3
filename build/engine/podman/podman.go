// Package podman has images built by podman, which shares its code and the form of
// its store with buildah.
package podman

import (
	"path/filepath"

	"github.com/gitboot/gitboot/build/engine/buildah"
)

var dialect = buildah.Dialect{
	Program: "podman",
	Pull:    []string{"pull", "--quiet"},
	// What builds have worked in is not podman's own: rm --all leaves it.
	Containers: []string{"ps", "--all", "--external", "--quiet"},
	Remove:     []string{"rm", "--force"},
	Mounts:     [2]int{4, 6}, Heredocs: [2]int{4, 8},
	Global: func(run string) []string { // neither systemd nor its journal is needed, nor a file outside our folders
		return []string{"--tmpdir", filepath.Join(run, "libpod"), "--cgroup-manager", "cgroupfs", "--events-backend", "none"}
	},
}

// New opens podman's store. It is made when it is first needed. RunDir may have
// no more than about 30 characters, because podman's may not have more than 50.
func New(opts buildah.Options) (*buildah.Engine, error) { return buildah.Speaking(dialect, opts) }
