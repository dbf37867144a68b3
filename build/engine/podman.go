package engine

import (
	"context"
	"path/filepath"
	"strings"
)

// A dialect is what is different in the command lines of buildah and podman.
type dialect struct {
	program string // and its package
	pull    []string
	// mounts is the version since which folders survive mounts on them.
	mounts [2]int
	// heredocs is the version that knows them first.
	heredocs [2]int
	// flags stand before the command; run is a folder for what ends with this
	// system's run.
	flags            func(run string) []string
	removeContainers func(context.Context, *Buildah) error
}

func buildahDialect() dialect {
	return dialect{
		program: "buildah", pull: []string{"pull", "--quiet", "--policy", "always"}, mounts: [2]int{1, 31}, heredocs: [2]int{1, 33},
		flags: func(string) []string { return nil },
		removeContainers: func(ctx context.Context, b *Buildah) error {
			_, err := b.output(ctx, b.temp, "rm", "--all")
			return err
		},
	}
}

// NewPodman opens podman's store. It is made when it is first needed. RunDir
// may have no more than about 30 characters, because podman's may not have
// more than 50.
func NewPodman(opts BuildahOptions) (*Buildah, error) { return newBuildah(podmanDialect(), opts) }

func podmanDialect() dialect {
	return dialect{
		program: "podman", pull: []string{"pull", "--quiet"}, mounts: [2]int{4, 6}, heredocs: [2]int{4, 8},
		flags: func(run string) []string { // neither systemd nor its journal is needed, nor a file outside our folders
			return []string{"--tmpdir", filepath.Join(run, "libpod"), "--cgroup-manager", "cgroupfs", "--events-backend", "none"}
		},
		removeContainers: func(ctx context.Context, b *Buildah) error {
			// Those of builds are not podman's own: rm --all leaves them.
			ids, err := b.output(ctx, b.temp, "ps", "--all", "--external", "--quiet")
			if err != nil || ids == "" {
				return err
			}
			_, err = b.output(ctx, b.temp, append([]string{"rm", "--force"}, strings.Fields(ids)...)...)
			return err
		},
	}
}
