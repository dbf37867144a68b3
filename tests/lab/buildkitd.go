package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// StartBuildkitd builds a BuildKit daemon, which takes some minutes the first
// time, and starts it with Debian's runc, with its files below dir, listening at
// the addresses. It must run inside gitboot's own source tree. What it mounts
// and runs ends with it.
func StartBuildkitd(ctx context.Context, dir string, addresses []string, args ...string) (*Daemon, error) {
	binary, err := buildTool(ctx, "buildkitd", "github.com/moby/buildkit/cmd/buildkitd")
	if err != nil {
		return nil, fmt.Errorf("build buildkitd: %w", err)
	}
	config := filepath.Join(dir, "buildkitd.toml") // instead of this machine's
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		return nil, err
	}
	root := filepath.Join(dir, "root")
	all := []string{binary, "--config", config, "--root", root, "--containerd-worker=false", "--oci-worker=true",
		"--oci-worker-binary=runc", "--oci-worker-net=host"}
	for _, a := range addresses {
		all = append(all, "--addr", a)
	}
	return startDaemon(root, filepath.Join(dir, "log"), "running server on", len(addresses), append(all, args...)...)
}

// Program builds one of gitboot's programs into dir and returns its path.
func Program(ctx context.Context, dir, name string) (string, error) {
	root, err := SourceDir(ctx)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	_, err = runEnv(ctx, append(os.Environ(), "CGO_ENABLED=0"), "go", "-C", root, "build", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "./cmd/"+name)
	return path, err
}

// buildTool builds a program of others, or finds that what was built is up to
// date. Its module is the folder of its name in tests.
func buildTool(ctx context.Context, name, pkg string) (string, error) {
	root, err := SourceDir(ctx)
	if err != nil {
		return "", err
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, name)
	unlock, err := lock(ctx, path+".lock")
	if err != nil {
		return "", err
	}
	env := slices.Concat(os.Environ(), []string{"CGO_ENABLED=0", "GOWORK=off"})
	_, err = runEnv(ctx, env, "go", "-C", filepath.Join(root, "tests", name), "build", "-buildvcs=false", "-ldflags=-s -w", "-o", path, pkg)
	return path, errors.Join(err, unlock())
}
