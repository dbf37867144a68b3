package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"

	"github.com/gitboot/gitboot/hooks/builtin"
	"github.com/gitboot/gitboot/hooks/check"
	"github.com/gitboot/gitboot/hooks/conflict"
	"github.com/gitboot/gitboot/hooks/formerdisk"
	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/hooks/layer"
)

// Render runs and collects the hooks. The output is the same for the same
// input, state and behaviour of the scripts. The caller closes it.
func Render(ctx context.Context, in Input) (_ *Output, err error) {
	for _, c := range conflict.Find(in.Hooks) {
		return nil, fmt.Errorf("hook %q: path %q %s; change one of the paths", c.Hook, c.Path, c)
	}
	r := &renderer{in: &in, tree: layer.New(in.Root, in.log()), safe: safe{open: in.Open}}
	if r.work, err = os.MkdirTemp(in.TempDir, "gitboot-hooks-"); err != nil {
		return nil, fmt.Errorf("render hooks: %w", err)
	}
	if r.work, err = filepath.Abs(r.work); err != nil {
		return nil, fmt.Errorf("render hooks: %w", err)
	}
	defer func() {
		if e := removeAll(r.work); e != nil {
			err = errors.Join(err, fmt.Errorf("render hooks: clean up: %w", e))
		}
	}()
	defer func() {
		if r.safe.forget() && err != nil {
			debug.FreeOSMemory() // as Output.Close does of a layer
		}
	}()
	for i := range in.Hooks {
		if err := r.hook(ctx, &in.Hooks[i]); err != nil {
			return nil, fmt.Errorf("hook %q: %w", in.Hooks[i].Name, err)
		}
	}
	if err := formerdisk.TakeOut(r.tree, in.Root, in.Hooks); err != nil {
		return nil, err
	}
	if err := r.nameSecrets(); err != nil {
		return nil, err
	}
	out, err := r.tree.Write(ctx, in.TempDir, r.atBoot)
	if err == nil {
		out.Secrets = len(in.secrets()) > 0
	}
	return out, err
}

// nameSecrets puts a file into a layer with secrets that names them.
func (r *renderer) nameSecrets() error {
	names := r.in.secrets()
	if len(names) == 0 {
		return nil
	}
	return builtin.NameSecrets(r.target(), names)
}

type renderer struct {
	in     *Input
	work   string
	tree   *layer.Tree
	atBoot []string
	runs   int
	safe   safe
}

func (r *renderer) hook(ctx context.Context, h *kind.Hook) error {
	for _, p := range h.Removes {
		if err := r.tree.Remove(p, h.Name); err != nil {
			return err
		}
	}
	if h.Builtin != nil && !builtin.Last(h) {
		if err := r.builtin(h); err != nil {
			return err
		}
	}
	if err := r.tree.Dirs(h.Name, h.Dirs); err != nil {
		return err
	}
	files, err := r.safe.fill(h.Files)
	if err != nil {
		return err
	}
	if err := r.tree.Files(h.Name, files); err != nil {
		return err
	}
	if len(h.Run) > 0 {
		if err := r.runAll(ctx, h); err != nil {
			return err
		}
	}
	if builtin.Last(h) {
		if err := r.builtin(h); err != nil {
			return err
		}
	}
	return r.addAtBoot(h)
}

func (r *renderer) builtin(h *kind.Hook) error {
	return builtin.Render(h, r.target())
}

func (r *renderer) target() *builtin.Target {
	return &builtin.Target{Tree: r.tree, Machine: r.in.Machine, StateDir: r.in.StateDir, Known: r.in.Root != nil, Log: r.in.log()}
}

func (r *renderer) addAtBoot(h *kind.Hook) error {
	for _, s := range h.AtBoot {
		if err := checkExecutable(s.Content); err != nil {
			return fmt.Errorf("at-boot script %q: %w", s.Name, err)
		}
		name := fmt.Sprintf("%02d-%s-%s", len(r.atBoot)+1, layer.FileName(h.Name), layer.FileName(s.Name))
		p := path.Join(kind.AtBootDir, name)
		if err := r.tree.Files(h.Name, []kind.File{{Path: p, Mode: 0o755, Content: s.Content}}); err != nil {
			return err
		}
		r.atBoot = append(r.atBoot, p)
	}
	return nil
}

func checkExecutable(content []byte) error {
	if wrong := check.WrongScript(content); wrong != "" {
		return fmt.Errorf("it %s; begin it with a line such as #!/bin/sh", wrong)
	}
	return nil
}

// removeAll removes a tree in which a script may have left directories that
// their owner cannot enter.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && err == nil {
			return os.Chmod(p, 0o700)
		}
		return nil
	})
	return errors.Join(err, os.RemoveAll(dir))
}
