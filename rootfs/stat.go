package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// A Stat is what a tree has at a path.
type Stat struct {
	Mode     fs.FileMode
	UID, GID int
	// Link is the target of a symbolic link.
	Link string
}

// Attributes are all that a file is besides its content.
type Attributes struct {
	Stat
	Size    int64
	ModTime uint32 // seconds since 1970
	// Major and Minor are a device's number.
	Major, Minor uint32
	Xattrs       map[string]string
}

// Attributes returns those of n; of a directory, the highest layer's.
func (t *Tree) Attributes(n *Node) (Attributes, error) {
	p := &n.parts[0]
	i, r := &p.inode, t.layers[p.layer].fs
	a := Attributes{Stat: Stat{Mode: i.Mode(), Link: i.Target}, Size: i.Size, ModTime: i.ModTime}
	a.Major, a.Minor = i.Device>>8&0xfff, i.Device&0xff|i.Device>>12&^uint32(0xff)
	var err error
	if a.UID, a.GID, err = r.Owner(i); err == nil {
		a.Xattrs, err = r.Xattrs(i)
	}
	return a, err
}

// A Link is a file of several names.
type Link struct {
	layer int
	ref   uint64
}

// Link tells files of several names apart, and whether n is one.
func (t *Tree) Link(n *Node) (link Link, several bool) {
	p := &n.parts[0]
	return Link{p.layer, p.inode.ref}, p.inode.names > 1 && !n.Mode().IsDir()
}

// Entry returns what is at a path, without following a link in its last element. What
// is not there gives an error that is fs.ErrNotExist.
func (t *Tree) Entry(name string) (*Node, error) {
	dir, base := path.Split(path.Clean("/" + name))
	n, err := t.Lookup(dir)
	if err == nil && base != "" {
		if !n.Mode().IsDir() {
			n = nil
		} else {
			n, err = t.Child(n, base)
		}
	}
	if err == nil && n == nil {
		err = &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return n, err
}

// Lstat is Entry of who wants to know what it is.
func (t *Tree) Lstat(name string) (Stat, error) {
	n, err := t.Entry(name)
	if err != nil {
		return Stat{}, err
	}
	top := n.parts[0]
	s := Stat{Mode: n.Mode(), Link: top.inode.Target}
	s.UID, s.GID, err = t.layers[top.layer].fs.Owner(&top.inode)
	return s, err
}

// ReadFile returns a whole regular file, following links inside the tree, and an
// error if it is larger than limit.
func (t *Tree) ReadFile(name string, limit int64) ([]byte, error) {
	n, err := t.Lookup(name)
	if err != nil {
		return nil, err
	}
	if size := n.parts[0].inode.Size; n.Mode().IsRegular() && size > limit {
		return nil, fmt.Errorf("reading /%s: %d bytes are more than the %d that belong there", n.Path, size, limit)
	}
	return t.Read(n)
}

// ReadDir returns the names in a folder, sorted, following links inside the
// tree. A missing one is empty.
func (t *Tree) ReadDir(name string) ([]string, error) {
	n, err := t.Lookup(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !n.Mode().IsDir() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return t.List(n)
}
