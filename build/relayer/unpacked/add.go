package unpacked

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Marks of the image specification, and of aufs, which it took them from.
const (
	whiteout     = ".wh."
	metadata     = ".wh..wh."
	opaqueMarker = ".wh..wh..opq"
)

// waiting is a hard link that comes before its target.
type waiting struct{ name, target string }

// Add unpacks a layer upon those before it, which have lower numbers, and says how many
// entries it has. It reads the tar to its end; what follows it is left.
func (t *Tree) Add(layer int, in io.Reader) (entries int, err error) {
	err = Entries(in, func(h *tar.Header, content io.Reader) error {
		entries++
		if err := t.add(layer, entries-1, h, content); err != nil {
			return fmt.Errorf("entry %q: %w", clip(h.Name), err)
		}
		return nil
	})
	if err == nil {
		err = t.settle(layer)
	}
	return entries, err
}

// Entries calls do for each entry of a tar.
func Entries(in io.Reader, do func(h *tar.Header, content io.Reader) error) error {
	archive := tar.NewReader(in)
	for n := 0; ; n++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return fmt.Errorf("read tar after %d entries: %w", n, err)
		}
		if err := do(h, archive); err != nil {
			return err
		}
	}
}

func (t *Tree) add(layer, entry int, h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader || h.Typeflag == 'V' || h.Mode&0o170000 == 0o140000 {
		return nil // what is about the archive, and sockets
	}
	name, err := clean(h.Name)
	if err != nil {
		return err
	}
	dir, base := path.Split(name)
	switch gone, marks := strings.CutPrefix(base, whiteout); {
	case strings.Contains("/"+dir, "/"+metadata), strings.HasPrefix(base, metadata) && base != opaqueMarker:
		return nil // what aufs keeps for itself
	case strings.Contains("/"+dir, "/"+whiteout):
		return errors.New("an entry below a whiteout")
	case base == opaqueMarker:
		return t.opaque(layer, strings.TrimSuffix(dir, "/"))
	case marks && (gone == "" || gone == "." || gone == ".."):
		return errors.New("a whiteout of no name")
	case marks:
		t.whiteout(layer, dir+gone)
		return nil
	case h.Typeflag == tar.TypeChar && h.Devmajor == 0 && h.Devminor == 0:
		t.whiteout(layer, name)
		return nil
	case h.Typeflag == tar.TypeLink:
		return t.link(layer, name, h.Linkname, false)
	}
	f, err := newFile(h)
	if err != nil {
		return err
	}
	f.Layer, f.Entry = int32(layer), int32(entry)
	if t.memory += f.cost(); name == "" {
		if f.Type != typeDir {
			return errors.New("the root of a layer must be a folder")
		}
		t.root.File, t.root.layer = f, int32(layer)
		return nil
	}
	n, err := t.put(layer, name, f)
	if err != nil {
		return err
	}
	if f.Type == typeDir && h.PAXRecords[opaqueXattr] == "y" {
		n.hideChildren(layer)
	}
	if f.Type == tar.TypeReg && t.keep(n.Path()) {
		return t.keepContent(f, content)
	}
	return nil
}

func (t *Tree) keepContent(f *File, content io.Reader) error {
	if t.kept += f.Size; t.kept > maxKept {
		return fmt.Errorf("package databases are larger together than %d bytes", int64(maxKept))
	}
	data := make([]byte, f.Size)
	_, err := io.ReadFull(content, data)
	f.own().data = data
	return err
}

// folder finds or makes the folder of a path.
func (t *Tree) folder(layer int, name string) (dir *Node, base string, err error) {
	return t.parent(name, func(dir *Node, name string) (*Node, error) { return t.attach(dir, name, newDir(layer), layer) })
}

// put gives a path what it stands for from now on.
func (t *Tree) put(layer int, name string, f *File) (*Node, error) {
	dir, base, err := t.folder(layer, name)
	if err != nil {
		return nil, err
	}
	n := dir.children[base]
	if n == nil {
		return t.attach(dir, base, f, layer)
	}
	if n.IsDir() && f.Type == typeDir {
		if int(n.layer) == layer {
			f.merge(n.File)
		}
	} else {
		n.release()
	}
	n.File, n.layer = f, int32(layer)
	return n, nil
}

// release takes from a name what it stands for.
func (n *Node) release() {
	n.File.Names--
	for _, child := range n.children {
		child.release()
	}
	n.children = nil
}

func (t *Tree) whiteout(layer int, name string) {
	if n := t.Lookup(name); n != nil && n != t.root {
		n.hide(layer)
	}
}

func (t *Tree) opaque(layer int, name string) error {
	n := t.Lookup(name)
	if n == nil {
		var err error
		if n, err = t.put(layer, name, newDir(layer)); err != nil {
			return err
		}
	}
	if !n.IsDir() {
		return errors.New("an opaque marker in what is no folder")
	}
	n.hideChildren(layer)
	return nil
}

// link gives a path what another stands for. What only a lower layer has may still come in
// this one, whose own it then is, unless all of it was read.
func (t *Tree) link(layer int, name, target string, whole bool) error {
	target, err := clean(target)
	if err != nil {
		return fmt.Errorf("hard link to %q: %w", clip(target), err)
	}
	there := t.Lookup(target)
	switch {
	case name == "" || there != nil && there.IsDir():
		return fmt.Errorf("hard link to the folder %q", clip(target))
	case there == nil, int(there.layer) < layer && !whole:
		t.waiting = append(t.waiting, waiting{strings.Clone(name), strings.Clone(target)})
		t.memory += len(name) + len(target) + 100
		return nil
	case there == t.Lookup(name):
		return nil
	}
	f := there.File
	if _, err = t.put(layer, name, f); err == nil {
		f.Names++
	}
	return err
}

// settle makes the links that came before their targets.
func (t *Tree) settle(layer int) error {
	for len(t.waiting) > 0 {
		before := t.waiting
		t.waiting = nil
		for _, w := range before {
			if err := t.link(layer, w.name, w.target, true); err != nil {
				return fmt.Errorf("entry %q: %w", clip(w.name), err)
			}
		}
		if len(t.waiting) == len(before) {
			return fmt.Errorf("entry %q: hard link to %q, which is not there", clip(before[0].name), clip(before[0].target))
		}
	}
	return nil
}
