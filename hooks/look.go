package hooks

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

// look returns what is at p, whose last element is not followed.
func (t *tree) look(p string) (rootfs.Stat, error) {
	at, err := t.walk(p, t.peek)
	if err != nil {
		return rootfs.Stat{}, err
	}
	return t.at(at)
}

// exists reports whether there is something at p.
func (t *tree) exists(p string) bool {
	_, err := t.look(p)
	return err == nil
}

// read returns a regular file's content, links followed.
func (t *tree) read(p string) ([]byte, error) {
	at, err := t.follow(p)
	if err != nil {
		return nil, err
	}
	n := t.nodes[at]
	switch {
	case n != nil && n.disk != "":
		return os.ReadFile(n.disk)
	case n != nil && n.mode.IsRegular() && !n.removed:
		return n.content, nil
	case n != nil || t.root == nil || t.hidden(at):
		return nil, &fs.PathError{Op: "read", Path: p, Err: fs.ErrNotExist}
	}
	return t.root.ReadFile(at, maxLook)
}

// list returns the names in a directory, sorted; none if it is not there.
func (t *tree) list(p string) ([]string, error) {
	at, err := t.follow(p)
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

// follow returns where p is when all links are followed.
func (t *tree) follow(p string) (string, error) {
	for range maxLinks {
		at, err := t.walk(p, t.peek)
		if err != nil {
			return "", err
		}
		st, err := t.at(at)
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
func (t *tree) peek(dir string) (link string, err error) {
	st, err := t.at(dir)
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

// at returns what is at a path that leads through no link.
func (t *tree) at(p string) (rootfs.Stat, error) {
	if n := t.nodes[p]; n != nil && !n.removed {
		return rootfs.Stat{Mode: n.mode, UID: n.uid, GID: n.gid, Link: n.link}, nil
	}
	if t.root == nil || t.hidden(p) {
		return rootfs.Stat{}, &fs.PathError{Op: "find", Path: p, Err: fs.ErrNotExist}
	}
	return t.root.Lstat(p)
}

// shows reports whether the image has something at p that no hook removed.
func (t *tree) shows(p string) bool {
	if t.hidden(p) {
		return false
	}
	_, err := t.root.Lstat(p)
	return !errors.Is(err, fs.ErrNotExist)
}

// hidden reports whether hooks hide what the image has at p.
func (t *tree) hidden(p string) bool {
	if n := t.nodes[p]; n != nil && n.removed {
		return true
	}
	for dir := path.Dir(p); strings.Trim(dir, "/.") != ""; dir = path.Dir(dir) {
		if n := t.nodes[dir]; n != nil && (n.removed || n.opaque || !n.mode.IsDir()) {
			return true
		}
	}
	return false
}
