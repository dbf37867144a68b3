// Package flat writes a root file system as one tar, as other programs read it: the
// layers joined, with owners, times, hard links, devices and extended attributes, in
// pax format (POSIX.1-2008, pax; attributes as SCHILY.xattr, as GNU tar and bsdtar have
// them). The same layers give the same bytes.
package flat

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/rootfs"
)

// overlay begins the names of attributes that say how layers are joined.
const overlay = "trusted.overlay."

// Write writes a tree. Of sockets, which no tar can hold, it returns how many were left
// out.
func Write(ctx context.Context, to io.Writer, t *rootfs.Tree) (sockets int, err error) {
	w := &writer{ctx: ctx, tree: t, out: tar.NewWriter(to), links: map[rootfs.Link]string{}}
	if err := w.folder(t.Root()); err != nil {
		return w.sockets, err
	}
	return w.sockets, w.out.Close()
}

type writer struct {
	ctx  context.Context
	tree *rootfs.Tree
	out  *tar.Writer
	// links are the names that files of several names were written by first.
	links   map[rootfs.Link]string
	sockets int
}

// folder writes a folder and all that is in it.
func (w *writer) folder(dir *rootfs.Node) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if err := w.entry(dir); err != nil {
		return err
	}
	names, err := w.tree.List(dir)
	if err != nil {
		return err
	}
	index, err := w.tree.Index(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		n, err := index.Child(name)
		switch {
		case err != nil:
			return err
		case n.Mode().IsDir():
			err = w.folder(n)
		default:
			err = w.file(n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// file writes what is no folder, the further names of a file as links to the first.
func (w *writer) file(n *rootfs.Node) error {
	if n.Mode().Type() == fs.ModeSocket {
		w.sockets++
		return nil
	}
	link, several := w.tree.Link(n)
	if !several {
		return w.entry(n)
	}
	if first, ok := w.links[link]; ok {
		return w.out.WriteHeader(&tar.Header{Typeflag: tar.TypeLink, Name: name(n), Linkname: first, Format: tar.FormatPAX})
	}
	w.links[link] = name(n)
	return w.entry(n)
}

// name is a path as archives of root file systems have it.
func name(n *rootfs.Node) string {
	if n.Mode().IsDir() {
		return "./" + strings.TrimPrefix(path.Clean(n.Path)+"/", "./")
	}
	return "./" + n.Path
}

func (w *writer) entry(n *rootfs.Node) error {
	a, err := w.tree.Attributes(n)
	if err != nil {
		return err
	}
	if err := w.out.WriteHeader(header(n, a)); err != nil {
		return fmt.Errorf("write /%s: %w", n.Path, err)
	}
	if !a.Mode.IsRegular() {
		return nil
	}
	content, err := w.tree.Open(n)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w.out, ctxio.Reader(w.ctx, content)); err != nil {
		return fmt.Errorf("write /%s: %w", n.Path, err)
	}
	return nil
}

// header says all of a file but its content.
func header(n *rootfs.Node, a rootfs.Attributes) *tar.Header {
	h := &tar.Header{
		Typeflag: kind(a.Mode), Name: name(n), Linkname: a.Link, Mode: mode(a.Mode), Uid: a.UID, Gid: a.GID,
		ModTime: time.Unix(int64(a.ModTime), 0), Format: tar.FormatPAX,
	}
	switch h.Typeflag {
	case tar.TypeReg:
		h.Size = a.Size
	case tar.TypeChar, tar.TypeBlock:
		h.Devmajor, h.Devminor = int64(a.Major), int64(a.Minor)
	}
	for key, value := range a.Xattrs {
		if strings.HasPrefix(key, overlay) {
			continue
		}
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+key] = value
	}
	return h
}

func kind(m fs.FileMode) byte {
	switch m.Type() {
	case fs.ModeDir:
		return tar.TypeDir
	case fs.ModeSymlink:
		return tar.TypeSymlink
	case fs.ModeDevice | fs.ModeCharDevice:
		return tar.TypeChar
	case fs.ModeDevice:
		return tar.TypeBlock
	case fs.ModeNamedPipe:
		return tar.TypeFifo
	}
	return tar.TypeReg
}

// mode is the permissions as chmod(2) has them.
func mode(m fs.FileMode) int64 {
	out := int64(m.Perm())
	for bit, value := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&bit != 0 {
			out |= value
		}
	}
	return out
}
