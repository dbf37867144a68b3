package tarfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// A Lack is something that a layer names and does not hold. What it is stands
// in the layers below; without an answer, a folder is root's and 0755.
type Lack struct {
	// Path is clean and relative. "" is the root, of a layer that hides all of
	// what lies below it: that has no answer.
	Path string
	// File: the target of hard links. Else a folder without an entry of its
	// own, of which lower layers show through.
	File bool

	node *node  // the folder
	ino  *inode // what stands for the file
}

// Lacks returns what is not answered yet, folders first, sorted by path. It is
// known after Stream.
func (rw *Rewriter) Lacks() []Lack {
	var list []Lack
	if root := rw.tree.root; root.ino.opaque {
		list = append(list, Lack{node: root})
	}
	list = appendFolders(list, rw.tree.root)
	for _, p := range slices.Sorted(maps.Keys(rw.tree.borrowed)) {
		if ino := rw.tree.borrowed[p]; !ino.known() {
			list = append(list, Lack{Path: p, File: true, ino: ino})
		}
	}
	return list
}

// appendFolders adds those below n. Nothing shows through what is hidden.
func appendFolders(list []Lack, n *node) []Lack {
	if n.white {
		return list
	}
	for _, child := range n.ino.children().nodes() {
		if !child.dir() {
			continue
		}
		if !child.ino.known() && !child.white {
			list = append(list, Lack{Path: child.path(), node: child})
		}
		if !child.ino.opaque {
			list = appendFolders(list, child)
		}
	}
	return list
}

// Lend answers a lack by what is below at its path. Open gives a regular
// file's content.
func (rw *Rewriter) Lend(l Lack, hdr *tar.Header, open func() (io.Reader, error)) error {
	m, err := newMeta(hdr)
	if err != nil {
		return fmt.Errorf("%q: %w", clip(l.Path), err)
	}
	e := &entry{name: l.Path, meta: m}
	if err := e.takeXattrs(hdr.PAXRecords, new(Report)); err != nil {
		return fmt.Errorf("%q: %w", clip(l.Path), err)
	}
	if l.File == (m.typeflag == tar.TypeDir) {
		return fmt.Errorf("%q is not what the layer needs there", clip(l.Path))
	}
	rw.report.Lent++
	if l.File {
		l.ino.set(m)
		l.ino.own().open = open
	} else {
		l.node.ino.set(m)
	}
	return rw.tree.charge(m)
}

// Move answers a folder by where the links of the layers below lead it: there
// its content belongs, because a folder here would hide the link.
func (rw *Rewriter) Move(l Lack, to string) error {
	dir, base, err := rw.tree.find(to, true)
	if err != nil {
		return fmt.Errorf("%q: %w", clip(to), err)
	}
	n := dir.ino.children().child(base)
	if n == nil {
		n = rw.tree.attach(dir, base)
	}
	if n.ino == nil {
		n.ino = newDir()
	}
	l.node.parent.ino.children().drop(l.node.name)
	return rw.graft(l.node, n)
}

// graft moves all that is in a folder into another one.
func (rw *Rewriter) graft(from, to *node) error {
	if !to.dir() || to == from || to.within(from) {
		return fmt.Errorf("%q is a link below, to %q, which is no folder for it", clip(from.path()), clip(to.path()))
	}
	to.ino.opaque = to.ino.opaque || from.ino.opaque
	for _, child := range from.ino.children().nodes() {
		there := to.ino.children().child(child.name)
		switch {
		case there == nil || there.ino == nil && child.ino != nil:
			child.white = child.white || there != nil && there.white
			child.parent = to
			to.ino.children().put(child)
			rw.spoiled = rw.spoiled || child.written()
		case child.ino == nil:
			there.white = true
		case child.dir() && there.dir():
			if err := rw.graft(child, there); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%q and %q are one file on the layers below; let the layer hold one of them", clip(join(from.path(), child.name)), clip(there.path()))
		}
	}
	return nil
}

func (n *node) within(dir *node) bool {
	for ; n != nil; n = n.parent {
		if n == dir {
			return true
		}
	}
	return false
}

// written reports whether content went out by a name that is not valid any more.
func (n *node) written() bool {
	if n.ino == nil {
		return false
	}
	if n.ino.content && n.ino.home == n {
		return true
	}
	for _, child := range n.ino.children().nodes() {
		if child.written() {
			return true
		}
	}
	return false
}

// A missing is a name that the layer does not have.
type missing struct {
	path   string
	hidden bool // and that it takes away from what is below
}

func (m *missing) Error() string { return "no such name in this layer" }

// missingAt is a name below the folder at.
func missingAt(at *node, name string) *missing {
	p := path.Clean("/" + join(at.path(), name))[1:]
	m := &missing{path: strings.Clone(p)}
	first, _, _ := strings.Cut(name, "/")
	if next := at.ino.children().child(first); next != nil && next.white {
		m.hidden = true
	}
	for ; at.parent != nil; at = at.parent {
		m.hidden = m.hidden || at.white || at.ino.opaque
	}
	return m
}

// borrow returns what will stand for a file of a lower layer.
func (t *tree) borrow(m *missing) (*inode, error) {
	if m.hidden || m.path == "" {
		return nil, errors.New("no such name in this layer, which hides what is below")
	}
	ino := t.borrowed[m.path]
	if ino == nil {
		ino = &inode{}
		if t.borrowed == nil {
			t.borrowed = make(map[string]*inode)
		}
		t.borrowed[m.path] = ino
		t.memory += len(m.path) + 200
	}
	return ino, nil
}
