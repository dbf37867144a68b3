package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
)

// Render runs and collects the hooks. The output is the same for the same
// input, state and behaviour of the scripts. The caller closes it.
func Render(ctx context.Context, in Input) (_ *Output, err error) {
	for _, c := range kind.Conflicts(in.Hooks) {
		return nil, fmt.Errorf("hook %q: path %q %s; change one of the paths", c.Hook, c.Path, c)
	}
	r := &renderer{in: &in, tree: newTree(&in)}
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
	for i := range in.Hooks {
		if err := r.hook(ctx, &in.Hooks[i]); err != nil {
			return nil, fmt.Errorf("hook %q: %w", in.Hooks[i].Name, err)
		}
	}
	if err := r.formerDisk(); err != nil {
		return nil, err
	}
	return newOutput(ctx, in.TempDir, r.tree, r.atBoot)
}

type renderer struct {
	in     *Input
	work   string
	tree   *tree
	atBoot []string
	runs   int
}

func (r *renderer) hook(ctx context.Context, h *kind.Hook) error {
	for _, p := range h.Removes {
		if err := r.tree.remove(p, h.Name); err != nil {
			return err
		}
	}
	if h.Builtin != nil && !last(h) {
		if err := r.builtin(h); err != nil {
			return err
		}
	}
	if err := r.dirs(h); err != nil {
		return err
	}
	if err := r.files(h.Name, h.Files); err != nil {
		return err
	}
	if len(h.Run) > 0 {
		if err := r.runAll(ctx, h); err != nil {
			return err
		}
	}
	if last(h) {
		if err := r.builtin(h); err != nil {
			return err
		}
	}
	return r.addAtBoot(h)
}

func (r *renderer) dirs(h *kind.Hook) error {
	for _, d := range h.Dirs {
		if d.Mode == 0 {
			if _, err := r.tree.lead(d.Path, h.Name); err != nil {
				return err
			}
			continue
		}
		n := &node{mode: fs.ModeDir | goMode(d.Mode), uid: d.UID, gid: d.GID, from: h.Name}
		if err := r.tree.addDir(d.Path, n); err != nil {
			return err
		}
	}
	return nil
}

func (r *renderer) files(hook string, files []kind.File) error {
	for _, f := range files {
		n, err := fileNode(f)
		if err != nil {
			return err
		}
		n.from = hook
		if err := r.tree.add(f.Path, n); err != nil {
			return err
		}
	}
	return nil
}

func fileNode(f kind.File) (*node, error) {
	n := &node{uid: f.UID, gid: f.GID}
	switch {
	case f.UID < 0 || f.GID < 0:
		return nil, fmt.Errorf("file %s has owner %d:%d; ids are not negative", f.Path, f.UID, f.GID)
	case f.Link != "" && len(f.Content) > 0:
		return nil, fmt.Errorf("file %s has both content and a link target; keep one", f.Path)
	case f.Link != "":
		n.mode, n.link = fs.ModeSymlink|0o777, f.Link
		return n, checkTarget(f.Path, f.Link)
	case f.Mode == 0:
		n.mode = 0o644
	default:
		n.mode = goMode(f.Mode)
	}
	if n.mode.Type() != 0 {
		return nil, fmt.Errorf("file %s has mode %s; want permission bits such as 0644", f.Path, f.Mode)
	}
	n.content, n.size = f.Content, int64(len(f.Content))
	return n, nil
}

// goMode accepts the octal form of setuid, setgid and sticky.
func goMode(m fs.FileMode) fs.FileMode {
	for octal, bit := range map[fs.FileMode]fs.FileMode{
		0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky,
	} {
		if m&octal != 0 {
			m = m&^octal | bit
		}
	}
	return m
}

func (r *renderer) addAtBoot(h *kind.Hook) error {
	for _, s := range h.AtBoot {
		if err := checkExecutable(s.Content); err != nil {
			return fmt.Errorf("at-boot script %q: %w", s.Name, err)
		}
		name := fmt.Sprintf("%02d-%s-%s", len(r.atBoot)+1, fileName(h.Name), fileName(s.Name))
		p := path.Join(kind.AtBootDir, name)
		n := &node{mode: 0o755, content: s.Content, size: int64(len(s.Content)), from: h.Name}
		if err := r.tree.add(p, n); err != nil {
			return err
		}
		r.atBoot = append(r.atBoot, p)
	}
	return nil
}

// fileName makes one harmless path element of a name.
func fileName(name string) string {
	name = strings.Map(func(c rune) rune {
		if c < 128 && (c == '.' || c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return c
		}
		return '-'
	}, path.Base(name))
	return name[:min(len(name), 100)]
}

func checkExecutable(content []byte) error {
	if wrong := kind.WrongScript(content); wrong != "" {
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
