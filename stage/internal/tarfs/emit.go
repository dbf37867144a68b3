package tarfs

import (
	"archive/tar"
	"fmt"
	"io"
	"maps"
	"time"
)

// rootMode is the mode of directories that have no entry.
const rootMode = 0o755

func (m *meta) header(name string) *tar.Header {
	more := m.more()
	return &tar.Header{
		Typeflag: m.typeflag, Name: name, Linkname: more.linkname, Size: m.size,
		Mode: int64(m.mode), Uid: int(m.uid), Gid: int(m.gid), ModTime: time.Unix(int64(m.mtime), 0),
		Devmajor: int64(more.major), Devminor: int64(more.minor), PAXRecords: more.xattrs,
	}
}

// emitFile writes a file and its content.
func (rw *Rewriter) emitFile(e *entry, name string, content io.Reader) error {
	if err := rw.out.WriteHeader(e.meta.header(name)); err != nil {
		return err
	}
	return copyContent(rw.out, content, e.meta.size, rw.buf)
}

func copyContent(out io.Writer, content io.Reader, size int64, buf []byte) error {
	n, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{content}, buf)
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes instead of %d", n, size)
	}
	return err
}

// Finish writes all that has no content in the layer, what was lent too, and
// ends the tar.
func (rw *Rewriter) Finish() error {
	for p, ino := range rw.tree.borrowed {
		if !ino.known() {
			return fmt.Errorf("hard link to %q: no such name in this layer, and none below it", clip(p))
		}
	}
	w := walk{out: rw.out, report: &rw.report, buf: rw.buf}
	if err := w.dir(rw.tree.root, ""); err != nil {
		return err
	}
	return rw.out.Close()
}

// A walk writes the tree.
type walk struct {
	out    *tar.Writer
	report *Report
	buf    []byte
}

func (w *walk) dir(n *node, name string) error {
	if err := w.out.WriteHeader(w.dirHeader(n, name)); err != nil {
		return fmt.Errorf("entry %q: %w", clip(name), err)
	}
	for _, child := range n.ino.children().nodes() {
		if err := w.node(child, join(name, child.name)); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) dirHeader(n *node, name string) *tar.Header {
	m := &n.ino.meta
	if !m.known() {
		m = &meta{typeflag: tar.TypeDir, mode: rootMode}
		w.report.Parents++
	}
	if name == "" {
		name = "."
	}
	hdr := m.header(name + "/")
	if (n.ino.opaque || n.white) && n.parent != nil {
		hdr.PAXRecords = maps.Clone(hdr.PAXRecords)
		if hdr.PAXRecords == nil {
			hdr.PAXRecords = make(map[string]string, 1)
		}
		hdr.PAXRecords[paxXattr+opaqueXattr] = "y"
	}
	return hdr
}

func (w *walk) node(n *node, name string) error {
	var hdr *tar.Header
	switch {
	case n.dir():
		return w.dir(n, name)
	case n.ino != nil:
		hdr = header(n, name)
	case n.white:
		hdr = (&meta{typeflag: tar.TypeChar}).header(name)
	}
	if hdr == nil {
		return nil
	}
	err := w.out.WriteHeader(hdr)
	if err == nil && hdr.Typeflag == tar.TypeReg && hdr.Size > 0 {
		err = w.lent(n.real())
	}
	if err != nil {
		return fmt.Errorf("entry %q: %w", clip(name), err)
	}
	return nil
}

// lent writes the content of a lower layer's file.
func (w *walk) lent(ino *inode) error {
	content, err := ino.more().open()
	if err != nil {
		return err
	}
	return copyContent(w.out, content, ino.size, w.buf)
}

// header returns what n still needs: the file itself at its first name, a
// link at others, nil where its content was written.
func header(n *node, name string) *tar.Header {
	ino := n.real()
	switch ino.home {
	case n:
		return nil
	case nil:
		ino.home = n
		return ino.header(name)
	}
	return (&meta{typeflag: tar.TypeLink, rare: &rare{linkname: ino.home.path()}}).header(name)
}

// homes gives every file with content its final name, which is the first in
// order that it has; "" for those that have none.
func (rw *Rewriter) homes() ([]string, error) {
	homes := make([]string, rw.files)
	err := rw.tree.root.each(func(n *node) error {
		ino := n.real()
		if ino != nil && ino.content && homes[ino.number] == "" {
			ino.home = n
			homes[ino.number] = n.path()
		}
		return nil
	})
	return homes, err
}
