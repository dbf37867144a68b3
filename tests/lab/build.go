package lab

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Build builds gitboot, gitboot-init and gitboot-rescue into dir, with build tags if given,
// and returns the path of gitboot. It must run inside gitboot's own source
// tree.
func Build(ctx context.Context, dir string, tags ...string) (string, error) {
	root, err := SourceDir(ctx)
	if err != nil {
		return "", err
	}
	env := append(os.Environ(), "CGO_ENABLED=0")
	args := []string{"-C", root, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w",
		"-tags=" + strings.Join(tags, ","), "-o", dir + "/", "./cmd/gitboot", "./cmd/gitboot-init", "./cmd/gitboot-rescue"}
	_, err = runEnv(ctx, env, "go", args...)
	return filepath.Join(dir, "gitboot"), err
}

// BuildInit builds the gitboot-init of another architecture into dir, beside what Build
// has put there.
func BuildInit(ctx context.Context, dir, arch string) error {
	return BuildFor(ctx, arch, "gitboot-init", filepath.Join(dir, "gitboot-init-"+arch))
}

// BuildFor builds a program for another architecture.
func BuildFor(ctx context.Context, arch, name, path string) error {
	root, err := SourceDir(ctx)
	if err != nil {
		return err
	}
	_, err = runEnv(ctx, append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch), "go", "-C", root, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w",
		"-o", path, "./cmd/"+name)
	return err
}

// Install puts into root what make install does, below /usr, made of the programs
// that Build has put into bin. What only builders need is stood for by a smaller
// program.
func Install(ctx context.Context, bin, root string) error {
	if err := Complete(ctx, bin); err != nil {
		return err
	}
	source, err := SourceDir(ctx)
	if err != nil {
		return err
	}
	_, err = Run(ctx, "make", "-s", "-C", source, "-o", "build", "install", "BIN="+bin, "DESTDIR="+root, "PREFIX=/usr")
	return err
}

// Complete adds to what Build has put into a folder what an installation or a
// package is made of besides.
func Complete(ctx context.Context, bin string) error {
	_, err := Run(ctx, "cp", filepath.Join(bin, "gitboot-init"), filepath.Join(bin, "gitboot-buildkit"))
	if err != nil {
		return err
	}
	_, err = Run(ctx, "go", "build", "-tags", "docs", "-buildvcs=false", "-o", filepath.Join(bin, "gitboot-docs"), "github.com/gitboot/gitboot/cmd/gitboot")
	return err
}

// SourceDir returns the top of gitboot's source tree, which holds the examples.
func SourceDir(ctx context.Context) (string, error) {
	out, err := Run(ctx, "go", "env", "GOMOD")
	if err != nil {
		return "", err
	}
	mod := strings.TrimSpace(out)
	if mod == "" || mod == os.DevNull {
		return "", errors.New("this is not gitboot's source tree; run it where go.mod is")
	}
	return filepath.Dir(mod), nil
}
