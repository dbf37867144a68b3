// Package buildah has images built by Debian's buildah, which needs no daemon and
// keeps the image of every step, or by what shares its code, its command line
// and the form of its store.
package buildah

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/process"
	"github.com/gitboot/gitboot/internal/program"
)

// Options says where buildah works.
type Options struct {
	// Dir is the folder of all engines. Nothing else may use what is called
	// there as the program is.
	Dir string
	// RunDir is for what ends with this system's run, "" for /run/gitboot.
	RunDir string
}

// An Engine runs a program that speaks one of buildah's dialects.
type Engine struct {
	Dialect
	store
	dir, runRoot, temp string
}

// New opens buildah's store. It is made when it is first needed.
func New(opts Options) (*Engine, error) { return Speaking(buildah, opts) }

// Speaking opens the store of another program.
func Speaking(d Dialect, opts Options) (*Engine, error) {
	all, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, err
	}
	if strings.Contains(all, ",") { // as containers/storage says it: overlayfs is not supported there
		return nil, fmt.Errorf("%s cannot keep images in %s: overlayfs takes a comma for the end of an option; name another folder with build_dir", d.Program, all)
	}
	dir := filepath.Join(all, d.Program)
	sum := sha256.Sum256([]byte(dir))
	run := filepath.Join(cmp.Or(opts.RunDir, "/run/gitboot"), d.Program+"-"+hex.EncodeToString(sum[:6]))
	return &Engine{
		Dialect: d, store: newStore(dir), dir: all, runRoot: run, temp: filepath.Join(dir, "tmp"),
	}, nil
}

// make makes the store's folders.
func (b *Engine) make() error {
	for _, d := range []string{b.root, b.runRoot, b.temp} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("make %s's folder: %w", b.Program, err)
		}
	}
	return nil
}

// Name implements Engine.
func (b *Engine) Name() string { return b.Program }

// A RootError says that an engine works for root alone.
type RootError struct{ Engine string }

func (e *RootError) Error() string {
	return fmt.Sprintf("engine %s: only root can build with it: files of an image belong to many users, and an ordinary one could not read them back; run gitboot as root, or use the engine buildkit with a builder that runs by itself", e.Engine)
}

// Check implements Engine.
func (b *Engine) Check(context.Context) error {
	if os.Geteuid() != 0 {
		return &RootError{b.Program}
	}
	for name, pkg := range map[string]string{b.Program: b.Program, "unshare": "util-linux"} {
		if _, err := program.Find(name); err != nil {
			return &engine.MissingError{Engine: b.Program, Program: name, Package: pkg}
		}
	}
	return nil
}

func (b *Engine) command(args ...string) process.Command {
	global := []string{b.Program, "--root", b.root, "--runroot", b.runRoot, "--storage-driver", b.driver}
	if b.Global != nil {
		global = append(global, b.Global(b.runRoot)...)
	}
	return process.Command{
		Args: append(global, args...),
		Env:  append(program.Proxies(), "PATH="+program.Path, "HOME="+b.temp, "TMPDIR="+b.temp, "XDG_RUNTIME_DIR="+b.runRoot, "LANG=C.UTF-8"),
	}
}

// output runs the program in a folder and returns what it prints.
func (b *Engine) output(ctx context.Context, dir string, args ...string) (string, error) {
	if err := b.make(); err != nil {
		return "", err
	}
	var out bytes.Buffer
	c := b.command(args...)
	c.Dir, c.Out = dir, &out
	err := c.Run(ctx)
	return strings.TrimSpace(out.String()), err
}

// Clean implements Engine.
func (b *Engine) Clean(ctx context.Context) error {
	if err := b.removeContainers(ctx); err != nil {
		return fmt.Errorf("remove %s's working containers: %w", b.Program, err)
	}
	left, err := os.ReadDir(b.temp)
	for _, e := range left {
		if strings.HasPrefix(e.Name(), cacheMounts) {
			continue // of whole builds, and for the next ones
		}
		err = errors.Join(err, os.RemoveAll(filepath.Join(b.temp, e.Name())))
	}
	return err
}

// removeContainers removes what builds have worked in.
func (b *Engine) removeContainers(ctx context.Context) error {
	ids, err := b.output(ctx, b.temp, b.Containers...)
	if err != nil || ids == "" {
		return err
	}
	_, err = b.output(ctx, b.temp, slices.Concat(b.Remove, strings.Fields(ids))...)
	return err
}

// Import implements Engine.
func (b *Engine) Import(ctx context.Context, layout string) (engine.Image, error) {
	// Buildah names the image after the path that it is given, and names are in
	// lower case: it is given one below the working directory.
	id, err := b.output(ctx, filepath.Dir(layout), slices.Concat(b.Pull, []string{"oci:" + filepath.Base(layout)})...)
	if err != nil {
		return engine.Image{}, fmt.Errorf("import the base into %s's store: %w", b.Program, engine.ExplainFull(b.root, err))
	}
	return b.Image(ctx, id)
}

// Image implements Engine.
func (b *Engine) Image(_ context.Context, id string) (engine.Image, error) {
	return b.image(strings.TrimPrefix(strings.TrimSpace(id), "sha256:"))
}
