package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path"
	"strings"

	"github.com/gitboot/gitboot/rootfs"
)

// A node is one entry of the layer.
type node struct {
	mode     fs.FileMode // with type bits
	uid, gid int
	link     string
	size     int64
	content  []byte
	disk     string // where a script left the content, instead of content
	xattrs   map[string]string
	from     string // the hook, for messages
	implied  bool   // a directory that only leads to something
	inImage  bool   // and that repeats what the image has
	removed  bool   // nothing: what the image has there is hidden
	opaque   bool   // a directory that hides what the image has in it
}

// A tree holds the layer's entries by path, and every directory that leads to
// one of them.
type tree struct {
	nodes map[string]*node
	root  View
	log   *slog.Logger
}

func newTree(in *Input) *tree {
	return &tree{nodes: map[string]*node{}, root: in.Root, log: in.log()}
}

// add puts n, which is no directory, at p or where the image's links lead p.
func (t *tree) add(p string, n *node) error {
	if err := checkPath(p); err != nil {
		return err
	}
	p, err := t.resolve(p, n.from)
	if err != nil {
		return err
	}
	if err := t.checkImage(p); err != nil {
		return err
	}
	if hiddenAtBoot(p) {
		t.log.Warn("most images mount something over this path at boot, so the file will not be seen", "path", p, "hook", n.from)
	}
	return t.put(p, n)
}

// addDir makes p a directory with n's mode and owner, following the image's
// links. If n is implied, it is only for where neither image nor hooks have one.
func (t *tree) addDir(p string, n *node) error {
	p, err := t.lead(p, n.from)
	if err != nil {
		return err
	}
	if n.implied && (t.nodes[p].inImage || !t.nodes[p].implied) {
		return nil
	}
	return t.put(p, n)
}

// lead makes p a directory as the image has it, or as is usual there, and
// returns where the image's links lead p.
func (t *tree) lead(p, from string) (string, error) {
	if err := checkPath(p); err != nil {
		return "", err
	}
	inside, err := t.resolve(path.Join(p, "inside"), from)
	return path.Dir(inside), err
}

// remove takes away what the image or an earlier hook has at p, following the
// image's links on the way.
func (t *tree) remove(p, from string) error {
	if err := checkPath(p); err != nil {
		return err
	}
	at, err := t.walk(p, t.peek)
	if t.root == nil {
		at, err = t.resolve(p, from)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	there := err == nil && (t.root == nil || t.shows(at))
	if err == nil {
		maps.DeleteFunc(t.nodes, func(q string, _ *node) bool { return q == at || strings.HasPrefix(q, at+"/") })
	}
	if !there {
		t.log.Info("the image has nothing to remove here", "path", p, "hook", from)
		return nil
	}
	if at, err = t.resolve(p, from); err == nil {
		t.nodes[at] = &node{removed: true, from: from}
	}
	return err
}

func (t *tree) put(p string, n *node) error {
	old := t.nodes[p]
	switch {
	case old == nil || old.removed:
	case old.mode.IsDir() != n.mode.IsDir():
		return fmt.Errorf("%s is a directory for one of the hooks %q and %q and not for the other; change one of the paths", p, old.from, n.from)
	case !old.implied && !old.equal(n):
		t.log.Info("a later hook replaces an earlier one's file", "path", p, "hook", n.from, "replaced", old.from)
	}
	n.opaque = n.opaque || old != nil && old.opaque
	t.nodes[p] = n
	return nil
}

func (n *node) equal(o *node) bool {
	return n.mode == o.mode && n.uid == o.uid && n.gid == o.gid && n.link == o.link &&
		n.disk == o.disk && bytes.Equal(n.content, o.content) && maps.Equal(n.xattrs, o.xattrs)
}

// resolve makes sure that every directory on the way to p is in the tree, and
// returns where p is when the image's links are followed. Its last element is
// not followed: a link there is replaced.
func (t *tree) resolve(p, from string) (string, error) {
	return t.walk(p, func(dir string) (string, error) { return t.enter(dir, from) })
}

const maxLinks = 40 // as the kernel's path lookup has it

// walk goes to p and returns where it is when links are followed, but for one
// in its last element. enter goes into a directory, or returns the target of
// the link that is there.
func (t *tree) walk(p string, enter func(dir string) (link string, err error)) (string, error) {
	dir, rest, links := "/", strings.Split(p[1:], "/"), 0
	for len(rest) > 1 {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			dir = path.Dir(dir)
			continue
		}
		next := path.Join(dir, name)
		link, err := enter(next)
		if err != nil {
			return "", err
		}
		if link == "" {
			dir = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: the image's links on the way go in circles", p)
		}
		if strings.HasPrefix(link, "/") {
			dir = "/"
		}
		rest = append(strings.Split(strings.Trim(path.Clean(link), "/"), "/"), rest...)
		if rest[0] == "" || rest[0] == "." {
			rest = rest[1:]
		}
	}
	return path.Join(dir, rest[0]), nil
}

// enter puts the directory p into the tree, or returns the target of the link
// that the image has there.
func (t *tree) enter(p, from string) (link string, err error) {
	if old := t.nodes[p]; old != nil && !old.removed {
		if !old.mode.IsDir() {
			return "", fmt.Errorf("hook %q makes %s something else than the directory that hook %q needs; change one of the paths", old.from, p, from)
		}
		return "", nil
	}
	below, known, err := t.image(p)
	if err != nil {
		return "", err
	}
	opaque := t.nodes[p] != nil // removed before
	switch {
	case known && below.Mode.Type() == fs.ModeSymlink:
		if below.Link == "" {
			return "", fmt.Errorf("the image has a link without a target at %s", p)
		}
		return below.Link, nil
	case known && !below.Mode.IsDir():
		return "", fmt.Errorf("the image has a file at %s, where hook %q needs a directory", p, from)
	}
	t.nodes[p] = &node{mode: below.Mode, uid: below.UID, gid: below.GID, from: from, implied: true, inImage: known, opaque: opaque}
	return "", nil
}

// image returns what the image has at p; if that is nothing, is hidden or not
// known, the directory that is right there.
func (t *tree) image(p string) (below rootfs.Stat, known bool, err error) {
	if t.root == nil {
		if usualLinks[p] {
			return below, false, fmt.Errorf("%s is a link in most images, which a directory would hide; write the path it leads to, as /usr%s", p, p)
		}
		return usual(p), false, nil
	}
	if t.hidden(p) {
		return usual(p), false, nil
	}
	below, err = t.root.Lstat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usual(p), false, nil
	case err != nil:
		return below, false, fmt.Errorf("look up %s in the image: %w", p, err)
	}
	return below, true, nil
}

// checkImage refuses to hide a whole directory of the image.
func (t *tree) checkImage(p string) error {
	if t.root == nil {
		return nil
	}
	below, known, err := t.image(p)
	if err == nil && known && below.Mode.IsDir() {
		err = fmt.Errorf("the image has a directory at %s, and a file there would hide all of it; if that is meant, remove it in an earlier hook or in this one", p)
	}
	return err
}
