// Package layer makes a layer entry by entry: what hooks declare, make and
// remove becomes a tree, which becomes a deterministic tar. Package hooks says
// what it repeats of the image below, and why.
package layer

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

// A Node is one entry of the layer.
type Node struct {
	Mode     fs.FileMode // with type bits
	UID, GID int
	Link     string
	Content  []byte
	From     string // the hook, for messages
	// Implied is a directory that only leads to something.
	Implied bool

	size    int64
	disk    string // where a script left the content, instead of Content
	xattrs  map[string]string
	inImage bool // an implied directory that repeats what the image has
	removed bool // nothing: what the image has there is hidden
	opaque  bool // a directory that hides what the image has in it
}

// A Tree holds the layer's entries by path, and every directory that leads to
// one of them.
type Tree struct {
	nodes map[string]*Node
	root  View
	log   *slog.Logger
}

// A View reads what the layers of an image make together. Paths are absolute.
type View interface {
	// Lstat does not follow a link in its last element. What is not there
	// gives fs.ErrNotExist.
	Lstat(path string) (rootfs.Stat, error)
	// ReadDir returns the names in a folder, none if it is not there.
	ReadDir(path string) ([]string, error)
	// ReadFile returns a whole regular file of at most limit bytes.
	ReadFile(path string, limit int64) ([]byte, error)
}

// New begins a layer above an image; a nil root is one that is not known.
func New(root View, log *slog.Logger) *Tree {
	return &Tree{nodes: map[string]*Node{}, root: root, log: log}
}

// Add puts n, which is no directory, at p or where the image's links lead p.
func (t *Tree) Add(p string, n *Node) error {
	if err := checkPath(p); err != nil {
		return err
	}
	p, err := t.resolve(p, n.From)
	if err != nil {
		return err
	}
	if err := t.checkImage(p); err != nil {
		return err
	}
	if hiddenAtBoot(p) {
		t.log.Warn("most images mount something over this path at boot, so the file will not be seen", "path", p, "hook", n.From)
	}
	return t.put(p, n)
}

// AddDir makes p a directory with n's mode and owner, following the image's
// links. If n is implied, it is only for where neither image nor hooks have one.
func (t *Tree) AddDir(p string, n *Node) error {
	p, err := t.Lead(p, n.From)
	if err != nil {
		return err
	}
	if n.Implied && (t.nodes[p].inImage || !t.nodes[p].Implied) {
		return nil
	}
	return t.put(p, n)
}

// Lead makes p a directory as the image has it, or as is usual there, and
// returns where the image's links lead p.
func (t *Tree) Lead(p, from string) (string, error) {
	if err := checkPath(p); err != nil {
		return "", err
	}
	inside, err := t.resolve(path.Join(p, "inside"), from)
	return path.Dir(inside), err
}

// Remove takes away what the image or an earlier hook has at p, following the
// image's links on the way.
func (t *Tree) Remove(p, from string) error {
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
		maps.DeleteFunc(t.nodes, func(q string, _ *Node) bool { return q == at || strings.HasPrefix(q, at+"/") })
	}
	if !there {
		t.log.Info("the image has nothing to remove here", "path", p, "hook", from)
		return nil
	}
	if at, err = t.resolve(p, from); err == nil {
		t.nodes[at] = &Node{removed: true, From: from}
	}
	return err
}

func (t *Tree) put(p string, n *Node) error {
	old := t.nodes[p]
	switch {
	case old == nil || old.removed:
	case old.Mode.IsDir() != n.Mode.IsDir():
		return fmt.Errorf("%s is a directory for one of the hooks %q and %q and not for the other; change one of the paths", p, old.From, n.From)
	case !old.Implied && !old.equal(n):
		t.log.Info("a later hook replaces an earlier one's file", "path", p, "hook", n.From, "replaced", old.From)
	}
	n.opaque = n.opaque || old != nil && old.opaque
	t.nodes[p] = n
	return nil
}

func (n *Node) equal(o *Node) bool {
	return n.Mode == o.Mode && n.UID == o.UID && n.GID == o.GID && n.Link == o.Link &&
		n.disk == o.disk && bytes.Equal(n.Content, o.Content) && maps.Equal(n.xattrs, o.xattrs)
}

// resolve makes sure that every directory on the way to p is in the tree, and
// returns where p is when the image's links are followed. Its last element is
// not followed: a link there is replaced.
func (t *Tree) resolve(p, from string) (string, error) {
	return t.walk(p, func(dir string) (string, error) { return t.enter(dir, from) })
}

const maxLinks = 40 // as the kernel's path lookup has it

// walk goes to p and returns where it is when links are followed, but for one
// in its last element. enter goes into a directory, or returns the target of
// the link that is there.
func (t *Tree) walk(p string, enter func(dir string) (link string, err error)) (string, error) {
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
func (t *Tree) enter(p, from string) (link string, err error) {
	if old := t.nodes[p]; old != nil && !old.removed {
		if !old.Mode.IsDir() {
			return "", fmt.Errorf("hook %q makes %s something else than the directory that hook %q needs; change one of the paths", old.From, p, from)
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
	t.nodes[p] = &Node{Mode: below.Mode, UID: below.UID, GID: below.GID, From: from, Implied: true, inImage: known, opaque: opaque}
	return "", nil
}

// image returns what the image has at p; if that is nothing, is hidden or not
// known, the directory that is right there.
func (t *Tree) image(p string) (below rootfs.Stat, known bool, err error) {
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
func (t *Tree) checkImage(p string) error {
	if t.root == nil {
		return nil
	}
	below, known, err := t.image(p)
	if err == nil && known && below.Mode.IsDir() {
		err = fmt.Errorf("the image has a directory at %s, and a file there would hide all of it; if that is meant, remove it in an earlier hook or in this one", p)
	}
	return err
}
