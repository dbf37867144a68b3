// Package unpacked knows what unpacking an image's layers in order would leave, from
// their tars, without unpacking them: one tree of names, whiteouts resolved, and for
// each file the entry of the layer that has its content.
//
//	t := unpacked.New(keep)
//	err := t.Add(0, layer) // and so on, lowest first
//	for _, n := range t.Root().Sorted() { … }
//
// # What entries mean
//
// Entries have the effect that container engines give them: the last of a path wins, a
// folder met twice keeps its content, parents are followed through symbolic links that
// never lead out of the tree. Whiteouts hide what lower layers have, wherever they stand
// in their own (image-spec, layer.md). Overlayfs's forms of both are taken as such.
//
// Layers are a stranger's: what names may be and lead to is bounded, as is the memory that
// they take. Content is kept only of what is asked for.
package unpacked

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Limits of Linux, and what no image needs.
const (
	maxName   = 255
	maxPath   = 4095
	maxDepth  = 256
	maxFollow = 40
	// maxMemory bounds what names and attributes may take: some 900,000 of the usual kind.
	maxMemory = 1 << 30
	// nameCost is what a name counts for besides its letters, in bytes. A fifth of it is kept,
	// measured with 416,000: the collector needs room, and attributes are not all alike.
	nameCost = 1000
	// maxKept bounds the content that is kept.
	maxKept = 512 << 20
)

// A Tree is what the layers that were added leave.
type Tree struct {
	root    *Node
	keep    func(path string) bool
	memory  int
	kept    int64
	waiting []waiting
}

// New returns an empty tree. The content of regular files of which keep reports true is
// kept in memory.
func New(keep func(path string) bool) *Tree {
	return &Tree{root: &Node{File: newDir(0)}, keep: keep}
}

// Forget gives up the content that was kept.
func (t *Tree) Forget() { t.root.forget() }

func (n *Node) forget() {
	if n.File.rare != nil {
		n.File.rare.data = nil
	}
	for _, child := range n.children {
		child.forget()
	}
}

// Root is the top folder.
func (t *Tree) Root() *Node { return t.root }

// A Node is a name.
type Node struct {
	Name   string
	Parent *Node // nil of the root
	// File is what the name stands for, never nil. Several names may share one.
	File     *File
	children map[string]*Node
	layer    int32 // that gave the name what it stands for
	// Mark is for who uses the tree.
	Mark int32
}

// depth is how many folders it lies in.
func (n *Node) depth() (depth int) {
	for ; n.Parent != nil; n = n.Parent {
		depth++
	}
	return depth
}

// IsDir reports whether n is a folder.
func (n *Node) IsDir() bool { return n.File.Type == typeDir }

// Path is clean and relative, "" of the root.
func (n *Node) Path() string {
	if n.Parent == nil {
		return ""
	}
	return path.Join(n.Parent.Path(), n.Name)
}

// Sorted returns a folder's names in order.
func (n *Node) Sorted() []*Node {
	return slices.SortedFunc(maps.Values(n.children), func(a, b *Node) int { return strings.Compare(a.Name, b.Name) })
}

// Child finds a name in a folder, nil if it is not there.
func (n *Node) Child(name string) *Node { return n.children[name] }

// Lookup finds a path, following symbolic links among its parents; nil if it leads
// nowhere.
func (t *Tree) Lookup(name string) *Node {
	dir, base, err := t.parent(name, nil)
	if err != nil || dir == nil {
		return nil
	}
	if base == "" {
		return dir
	}
	return dir.children[base]
}

// Follow is Lookup that follows the last name, too.
func (t *Tree) Follow(name string) *Node {
	for range maxFollow {
		n := t.Lookup(name)
		if n == nil || n.File.Type != typeSymlink {
			return n
		}
		target := n.File.Link()
		if !strings.HasPrefix(target, "/") {
			target = n.Parent.Path() + "/" + target
		}
		name = target
	}
	return nil
}

// parent walks to the folder of a path and returns it with the last name. Missing
// folders are made by make; without it, the folder is then nil.
func (t *Tree) parent(name string, make func(dir *Node, name string) (*Node, error)) (dir *Node, base string, err error) {
	parent, base := path.Split(name)
	at, followed := t.root, 0
	for rest := strings.Split(parent, "/"); len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..": // of a link's target
			if at.Parent != nil {
				at = at.Parent
			}
			continue
		}
		next := at.children[part]
		switch {
		case next == nil && make == nil:
			return nil, "", nil
		case next == nil:
			if next, err = make(at, part); err != nil {
				return nil, "", err
			}
		case next.File.Type == typeSymlink:
			if followed++; followed > maxFollow {
				return nil, "", errors.New("too many symbolic links among its parents")
			}
			target := next.File.Link()
			if strings.HasPrefix(target, "/") {
				at = t.root
			}
			rest = append(strings.Split(target, "/"), rest...)
			continue
		case !next.IsDir():
			return nil, "", fmt.Errorf("its parent %q is no folder", clip(next.Path()))
		}
		at = next
	}
	if base == "." || base == ".." {
		base = ""
	}
	return at, base, nil
}

// attach gives a folder a new name.
func (t *Tree) attach(dir *Node, name string, f *File, layer int) (*Node, error) {
	n := &Node{Name: strings.Clone(name), Parent: dir, File: f, layer: int32(layer)}
	if dir.children == nil {
		dir.children = map[string]*Node{}
	}
	dir.children[n.Name] = n
	t.memory += len(name) + nameCost
	switch {
	case n.depth() > maxDepth:
		return nil, fmt.Errorf("it lies more than %d folders deep", maxDepth)
	case t.memory > maxMemory:
		return nil, errors.New("the names and attributes of all layers take too much memory")
	}
	return n, nil
}

// hide takes away what layers below the given one have at a name.
func (n *Node) hide(layer int) {
	n.hideChildren(layer)
	switch {
	case int(n.layer) >= layer:
	case n.IsDir() && len(n.children) > 0: // the layer's own files lie in it
		n.File, n.layer = newDir(layer), int32(layer)
	default:
		n.release()
		delete(n.Parent.children, n.Name)
	}
}

func (n *Node) hideChildren(layer int) {
	for _, child := range n.children {
		child.hide(layer)
	}
}

// clip keeps a hostile name from filling a log.
func clip(name string) string {
	if len(name) <= 200 {
		return name
	}
	return name[:200] + "…"
}
