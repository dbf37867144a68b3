package initramfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/rootfs"
)

// maxLinks is how many symbolic links one path may go through, as in Linux.
const maxLinks = 40

// A Tree is the root file system that an image's layers make together, as
// overlayfs would show it: upper layers first, whiteouts and opaque
// directories hiding what is below, symbolic links followed inside the tree.
type Tree struct {
	layers []layer // highest first
}

type layer struct {
	name string
	file *os.File
	fs   *rootfs.Reader
	root rootfs.Inode
}

// OpenTree opens squashfs files, lowest layer first.
func OpenTree(layers []string) (*Tree, error) {
	var files []*os.File
	for _, name := range layers {
		f, err := os.Open(name)
		if err != nil {
			for _, f := range files {
				err = errors.Join(err, f.Close())
			}
			return nil, fmt.Errorf("opening layer: %w", err)
		}
		files = append(files, f)
	}
	return NewTree(files)
}

// NewTree makes a tree of open squashfs files, lowest layer first. They are
// the tree's from then on, also after an error.
func NewTree(layers []*os.File) (*Tree, error) {
	t := new(Tree)
	var errs []error
	for _, f := range slices.Backward(layers) {
		l := layer{name: filepath.Base(f.Name()), file: f}
		var err error
		if l.fs, err = rootfs.New(f); err == nil {
			l.root, err = l.fs.Root()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("opening layer %s: %w", f.Name(), err))
		}
		t.layers = append(t.layers, l)
	}
	if len(errs) > 0 {
		return nil, errors.Join(append(errs, t.Close())...)
	}
	return t, nil
}

// Close closes the layers.
func (t *Tree) Close() error {
	var errs []error
	for _, l := range t.layers {
		errs = append(errs, l.file.Close())
	}
	return errors.Join(errs...)
}

// A node is a file of the tree: for a directory the parts of it that shine
// through, highest first; else the one inode on top.
type node struct {
	path  string // resolved, without a leading slash
	parts []part
}

type part struct {
	layer int
	inode rootfs.Inode
}

func (n *node) mode() fs.FileMode { return n.parts[0].inode.Mode() }

func (t *Tree) root() *node {
	n := &node{path: "."}
	for i := range t.layers {
		n.parts = append(n.parts, part{i, t.layers[i].root})
	}
	return n
}

// child finds a name in a directory; nil if it isn't there.
func (t *Tree) child(dir *node, name string) (*node, error) {
	n := &node{path: path.Join(dir.path, name)}
	for _, p := range dir.parts {
		l := &t.layers[p.layer]
		inode, ok, err := l.fs.Lookup(&p.inode, name)
		if err != nil {
			return nil, fmt.Errorf("reading %s in layer %s: %w", n.path, l.name, err)
		}
		if !ok {
			continue
		}
		more, err := n.add(l, part{p.layer, inode})
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
	}
	if len(n.parts) == 0 {
		return nil, nil
	}
	return n, nil
}

// add puts p below what n has, and reports whether lower layers still show.
func (n *node) add(l *layer, p part) (more bool, err error) {
	if !p.inode.Mode().IsDir() {
		if len(n.parts) == 0 && !p.inode.IsWhiteout() {
			n.parts = append(n.parts, p)
		}
		return false, nil
	}
	n.parts = append(n.parts, p)
	opaque, err := l.fs.IsOpaque(&p.inode)
	if err != nil {
		return false, fmt.Errorf("reading attributes of %s in layer %s: %w", n.path, l.name, err)
	}
	return !opaque, nil
}

// lookup follows a path and all symbolic links. What is not there gives an
// error that is fs.ErrNotExist.
func (t *Tree) lookup(name string) (*node, error) {
	stack := []*node{t.root()}
	todo := components(name)
	for links := 0; len(todo) > 0; {
		here := stack[len(stack)-1]
		next := todo[0]
		todo = todo[1:]
		if next == ".." {
			stack = stack[:max(1, len(stack)-1)]
			continue
		}
		if !here.mode().IsDir() {
			return nil, &fs.PathError{Op: "find", Path: "/" + name, Err: fs.ErrNotExist}
		}
		n, err := t.child(here, next)
		if err != nil {
			return nil, err
		}
		if n == nil {
			return nil, &fs.PathError{Op: "find", Path: "/" + name, Err: fs.ErrNotExist}
		}
		if n.mode()&fs.ModeSymlink == 0 {
			stack = append(stack, n)
			continue
		}
		if links++; links > maxLinks {
			return nil, fmt.Errorf("following /%s: more than %d symbolic links", name, maxLinks)
		}
		target := n.parts[0].inode.Target
		if strings.HasPrefix(target, "/") {
			stack = stack[:1]
		}
		todo = append(components(target), todo...)
	}
	return stack[len(stack)-1], nil
}

func components(name string) []string {
	return slices.DeleteFunc(strings.Split(name, "/"), func(s string) bool { return s == "" || s == "." })
}

// list returns the names in a directory, sorted.
func (t *Tree) list(dir *node) ([]string, error) {
	names := make(map[string]bool) // false: hidden by a whiteout above
	for _, p := range dir.parts {
		l := &t.layers[p.layer]
		entries, err := l.fs.ReadDir(&p.inode)
		if err != nil {
			return nil, fmt.Errorf("listing %s in layer %s: %w", dir.path, l.name, err)
		}
		for _, e := range entries {
			if _, seen := names[e.Name]; seen {
				continue
			}
			if names[e.Name], err = l.shows(e); err != nil {
				return nil, fmt.Errorf("reading %s/%s in layer %s: %w", dir.path, e.Name, l.name, err)
			}
		}
	}
	var out []string
	for name, shown := range names {
		if shown {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (l *layer) shows(e rootfs.Entry) (bool, error) {
	i, err := l.fs.Inode(e)
	return !i.IsWhiteout(), err
}

// readDir lists a directory by path; a missing one is empty.
func (t *Tree) readDir(name string) ([]string, error) {
	n, err := t.lookup(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !n.mode().IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return t.list(n)
}

// OpenFile opens a regular file, following links inside the tree.
func (t *Tree) OpenFile(name string) (io.ReadCloser, error) {
	n, err := t.lookup(strings.TrimPrefix(name, "/"))
	if err != nil {
		return nil, err
	}
	r, err := t.open(n)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}

func (t *Tree) open(n *node) (io.Reader, error) {
	if !n.mode().IsRegular() {
		return nil, fmt.Errorf("opening /%s: it is not a regular file", n.path)
	}
	return t.layers[n.parts[0].layer].fs.Open(&n.parts[0].inode)
}

// maxRead bounds what is held in memory of one file of the image.
const maxRead = 256 << 20

// read returns a whole file.
func (t *Tree) read(n *node) ([]byte, error) {
	r, err := t.open(n)
	if err != nil {
		return nil, err
	}
	size := n.parts[0].inode.Size
	if size > maxRead {
		return nil, fmt.Errorf("reading /%s: %d bytes are more than the %d that belong there", n.path, size, int64(maxRead))
	}
	buf := make([]byte, size)
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, fmt.Errorf("reading /%s: %w", n.path, err)
	}
	return buf, nil
}

// readFile reads a file by path.
func (t *Tree) readFile(name string) ([]byte, error) {
	n, err := t.lookup(name)
	if err != nil {
		return nil, err
	}
	return t.read(n)
}
