package rootfs

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
	fs   *Reader
	root Inode
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
		if l.fs, err = New(f); err == nil {
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

// A Node is a file of the tree.
type Node struct {
	// Path is resolved, without a leading slash; "." is the root.
	Path string
	// parts are, for a directory, those that shine through, highest first;
	// else the one inode on top.
	parts []part
}

type part struct {
	layer int
	inode Inode
}

// Mode returns type and permissions.
func (n *Node) Mode() fs.FileMode { return n.parts[0].inode.Mode() }

// Root returns the top folder, nil of no layers.
func (t *Tree) Root() *Node {
	if len(t.layers) == 0 {
		return nil
	}
	n := &Node{Path: "."}
	for i := range t.layers {
		n.parts = append(n.parts, part{i, t.layers[i].root})
	}
	return n
}

// Child finds a name in a directory; nil if it isn't there.
func (t *Tree) Child(dir *Node, name string) (*Node, error) {
	return t.child(dir, name, func(i int) (Inode, bool, error) {
		p := &dir.parts[i]
		return t.layers[p.layer].fs.Lookup(&p.inode, name)
	})
}

// child makes a node of what lookup finds in the parts of a directory.
func (t *Tree) child(dir *Node, name string, lookup func(part int) (Inode, bool, error)) (*Node, error) {
	n := &Node{Path: path.Join(dir.Path, name)}
	for i, p := range dir.parts {
		l := &t.layers[p.layer]
		inode, ok, err := lookup(i)
		if err != nil {
			return nil, fmt.Errorf("reading %s in layer %s: %w", n.Path, l.name, err)
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

// An Index finds many names in one directory: each costs the same, while Child
// reads what is before it.
type Index struct {
	tree  *Tree
	dir   *Node
	parts []map[string]Entry
}

// Index reads a directory's names.
func (t *Tree) Index(dir *Node) (*Index, error) {
	x := &Index{tree: t, dir: dir}
	for _, p := range dir.parts {
		l := &t.layers[p.layer]
		entries, err := l.fs.ReadDir(&p.inode)
		if err != nil {
			return nil, fmt.Errorf("listing %s in layer %s: %w", dir.Path, l.name, err)
		}
		names := make(map[string]Entry, len(entries))
		for _, e := range entries {
			names[e.Name] = e
		}
		x.parts = append(x.parts, names)
	}
	return x, nil
}

// Child finds a name; nil if it isn't there.
func (x *Index) Child(name string) (*Node, error) {
	return x.tree.child(x.dir, name, func(i int) (Inode, bool, error) {
		e, ok := x.parts[i][name]
		if !ok {
			return Inode{}, false, nil
		}
		inode, err := x.tree.layers[x.dir.parts[i].layer].fs.Inode(e)
		return inode, err == nil, err
	})
}

// add puts p below what n has, and reports whether lower layers still show.
func (n *Node) add(l *layer, p part) (more bool, err error) {
	if !p.inode.Mode().IsDir() {
		if len(n.parts) == 0 && !p.inode.IsWhiteout() {
			n.parts = append(n.parts, p)
		}
		return false, nil
	}
	n.parts = append(n.parts, p)
	opaque, err := l.fs.IsOpaque(&p.inode)
	if err != nil {
		return false, fmt.Errorf("reading attributes of %s in layer %s: %w", n.Path, l.name, err)
	}
	return !opaque, nil
}

// Lookup follows a path and all symbolic links. What is not there gives an
// error that is fs.ErrNotExist.
func (t *Tree) Lookup(name string) (*Node, error) {
	if len(t.layers) == 0 {
		return nil, &fs.PathError{Op: "find", Path: "/" + name, Err: fs.ErrNotExist}
	}
	stack := []*Node{t.Root()}
	todo := components(name)
	for links := 0; len(todo) > 0; {
		here := stack[len(stack)-1]
		next := todo[0]
		todo = todo[1:]
		if next == ".." {
			stack = stack[:max(1, len(stack)-1)]
			continue
		}
		if !here.Mode().IsDir() {
			return nil, &fs.PathError{Op: "find", Path: "/" + name, Err: fs.ErrNotExist}
		}
		n, err := t.Child(here, next)
		if err != nil {
			return nil, err
		}
		if n == nil {
			return nil, &fs.PathError{Op: "find", Path: "/" + name, Err: fs.ErrNotExist}
		}
		if n.Mode()&fs.ModeSymlink == 0 {
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

// List returns the names in a directory, sorted.
func (t *Tree) List(dir *Node) ([]string, error) {
	names := make(map[string]bool) // false: hidden by a whiteout above
	for _, p := range dir.parts {
		l := &t.layers[p.layer]
		entries, err := l.fs.ReadDir(&p.inode)
		if err != nil {
			return nil, fmt.Errorf("listing %s in layer %s: %w", dir.Path, l.name, err)
		}
		for _, e := range entries {
			if _, seen := names[e.Name]; seen {
				continue
			}
			if names[e.Name], err = l.shows(e); err != nil {
				return nil, fmt.Errorf("reading %s/%s in layer %s: %w", dir.Path, e.Name, l.name, err)
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

func (l *layer) shows(e Entry) (bool, error) {
	i, err := l.fs.Inode(e)
	return !i.IsWhiteout(), err
}

// OpenFile opens a regular file, following links inside the tree.
func (t *Tree) OpenFile(name string) (io.ReadCloser, error) {
	n, err := t.Lookup(strings.TrimPrefix(name, "/"))
	if err != nil {
		return nil, err
	}
	r, err := t.Open(n)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}

// Open returns a regular file's content.
func (t *Tree) Open(n *Node) (io.Reader, error) { return t.OpenAt(n, 0) }

// OpenAt returns it from the byte at off on. What is before is not read.
func (t *Tree) OpenAt(n *Node, off int64) (io.Reader, error) {
	if !n.Mode().IsRegular() {
		return nil, fmt.Errorf("opening /%s: it is not a regular file", n.Path)
	}
	return t.layers[n.parts[0].layer].fs.OpenAt(&n.parts[0].inode, off)
}

// MaxRead bounds what is held in memory of one file of the image.
const MaxRead = 256 << 20

// Read returns a whole file.
func (t *Tree) Read(n *Node) ([]byte, error) {
	r, err := t.Open(n)
	if err != nil {
		return nil, err
	}
	size := n.parts[0].inode.Size
	if size > MaxRead {
		return nil, fmt.Errorf("reading /%s: %d bytes are more than the %d that belong there", n.Path, size, int64(MaxRead))
	}
	buf := make([]byte, size)
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, fmt.Errorf("reading /%s: %w", n.Path, err)
	}
	return buf, nil
}

// Origins returns the names of the layers that n consists of, highest first.
func (t *Tree) Origins(n *Node) []string {
	var names []string
	for _, p := range n.parts {
		names = append(names, t.layers[p.layer].name)
	}
	return names
}
