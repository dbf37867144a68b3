package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/rootfs"
)

// Built-ins read what the machine will have: the image with what was rendered
// before them above it.

// maxLook bounds each file that is read of the image.
const maxLook = 4 << 20

// Look returns what is at p, whose last element is not followed.
func (t *Tree) Look(p string) (rootfs.Stat, error) {
	at, err := t.walk(p, t.peek)
	if err != nil {
		return rootfs.Stat{}, err
	}
	return t.At(at)
}

// Exists reports whether there is something at p.
func (t *Tree) Exists(p string) bool {
	_, err := t.Look(p)
	return err == nil
}

// Written reports whether hooks put something at p.
func (t *Tree) Written(p string) (bool, error) {
	at, err := t.walk(p, t.peek)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil && t.nodes[at] != nil, err
}

// Read returns a regular file's content, links followed.
func (t *Tree) Read(p string) ([]byte, error) {
	at, err := t.Follow(p)
	if err != nil {
		return nil, err
	}
	n := t.nodes[at]
	switch {
	case n != nil && n.disk != "":
		return os.ReadFile(n.disk)
	case n != nil && n.Mode.IsRegular() && !n.removed:
		return n.Content, nil
	case n != nil || t.root == nil || t.hidden(at):
		return nil, &fs.PathError{Op: "read", Path: p, Err: fs.ErrNotExist}
	}
	return t.root.ReadFile(at, maxLook)
}

// List returns the names in a directory, sorted; none if it is not there.
func (t *Tree) List(p string) ([]string, error) {
	at, err := t.Follow(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	if n := t.nodes[at]; t.root != nil && !t.hidden(at) && (n == nil || !n.opaque) {
		below, err := t.root.ReadDir(at)
		if err != nil {
			return nil, err
		}
		for _, name := range below {
			names[name] = true
		}
	}
	for q, n := range t.nodes {
		if path.Dir(q) == at && q != "/" {
			names[path.Base(q)] = !n.removed
		}
	}
	maps.DeleteFunc(names, func(_ string, there bool) bool { return !there })
	return slices.Sorted(maps.Keys(names)), nil
}

// Follow returns where p is when all links are followed.
func (t *Tree) Follow(p string) (string, error) {
	for range maxLinks {
		at, err := t.walk(p, t.peek)
		if err != nil {
			return "", err
		}
		st, err := t.At(at)
		if err != nil || st.Mode.Type() != fs.ModeSymlink {
			return at, err
		}
		if p = st.Link; !path.IsAbs(p) {
			p = path.Join(path.Dir(at), p)
		}
		p = path.Clean(p)
	}
	return "", fmt.Errorf("%s: links go in circles", p)
}

// peek goes into a directory of the machine.
func (t *Tree) peek(dir string) (link string, err error) {
	st, err := t.At(dir)
	switch {
	case err != nil:
		return "", err
	case st.Mode.Type() == fs.ModeSymlink:
		return st.Link, nil
	case !st.Mode.IsDir():
		return "", &fs.PathError{Op: "find", Path: dir, Err: fs.ErrNotExist}
	}
	return "", nil
}

// At returns what is at a path that leads through no link.
func (t *Tree) At(p string) (rootfs.Stat, error) {
	if n := t.nodes[p]; n != nil && !n.removed {
		return rootfs.Stat{Mode: n.Mode, UID: n.UID, GID: n.GID, Link: n.Link}, nil
	}
	if t.root == nil || t.hidden(p) {
		return rootfs.Stat{}, &fs.PathError{Op: "find", Path: p, Err: fs.ErrNotExist}
	}
	return t.root.Lstat(p)
}

// shows reports whether the image has something at p that no hook removed.
func (t *Tree) shows(p string) bool {
	if t.hidden(p) {
		return false
	}
	_, err := t.root.Lstat(p)
	return !errors.Is(err, fs.ErrNotExist)
}

// hidden reports whether hooks hide what the image has at p.
func (t *Tree) hidden(p string) bool {
	if n := t.nodes[p]; n != nil && n.removed {
		return true
	}
	for dir := path.Dir(p); strings.Trim(dir, "/.") != ""; dir = path.Dir(dir) {
		if n := t.nodes[dir]; n != nil && (n.removed || n.opaque || !n.Mode.IsDir()) {
			return true
		}
	}
	return false
}
