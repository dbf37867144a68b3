package relayer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gitboot/gitboot/build/relayer/unpacked"
)

const block = 512 // of a tar

// endSize is of the two empty blocks that end a tar.
const endSize = 2 * block

// A place is where a file's content goes.
type place struct {
	offset, size int64
	layer        int8 // plus one: 0 is nowhere
}

// A layout knows all of the new layers but files' content, before any of that is read.
type layout struct {
	tree     *unpacked.Tree
	grouping *grouping
	where    map[string]Place
	// sizes are the layers' as far as they are known.
	sizes [MaxLayers]int64
	// groups are the names of those that a layer has.
	groups [MaxLayers]map[string]bool
	// in says in which layers a folder is.
	in map[*unpacked.Node]uint32
	// newest are the times of what lies in a folder in one layer.
	newest map[folderIn]time.Time
	// first are the names under which files of several names came first.
	first map[*unpacked.File]string
	// places are those of the old layers' entries.
	places [][]place
	// write writes a header, nil while only sizes are found out.
	write func(layer int, data []byte, at int64) error
	buf   bytes.Buffer
}

type folderIn struct {
	dir   *unpacked.Node
	layer int
}

func newLayout(t *unpacked.Tree, g *grouping, where map[string]Place, entries []int) *layout {
	l := &layout{tree: t, grouping: g, where: where, in: map[*unpacked.Node]uint32{}, newest: map[folderIn]time.Time{}}
	l.in[t.Root()] = 1 << highest
	each(t.Root(), func(n *unpacked.Node) {
		if n.IsDir() {
			return
		}
		layer := l.layer(n)
		if l.groups[layer] == nil {
			l.groups[layer] = map[string]bool{}
		}
		l.groups[layer][g.final(n)] = true
		if at := (folderIn{n.Parent, layer}); l.newest[at].Before(n.File.ModTime()) {
			l.newest[at] = n.File.ModTime()
		}
		for dir := n.Parent; dir != nil && l.in[dir]&(1<<layer) == 0; dir = dir.Parent {
			l.in[dir] |= 1 << layer
		}
	})
	each(t.Root(), func(n *unpacked.Node) {
		if n.IsDir() && !l.settled(n) {
			for dir := n; dir != nil && l.in[dir]&(1<<highest) == 0; dir = dir.Parent {
				l.in[dir] |= 1 << highest
			}
		}
	})
	for _, n := range entries {
		l.places = append(l.places, make([]place, n))
	}
	return l
}

// layer is that of what is no folder.
func (l *layout) layer(n *unpacked.Node) int {
	if p, ok := l.where[l.grouping.final(n)]; ok {
		return p.Layer
	}
	return highest
}

// settled reports whether the layers below the highest say all of a folder that is not in
// that.
func (l *layout) settled(dir *unpacked.Node) bool {
	in := l.in[dir]
	if in&(1<<highest) != 0 {
		return true
	}
	for layer := highest - 1; layer >= 0; layer-- {
		if in&(1<<layer) != 0 {
			return l.folderTime(dir, layer).Equal(dir.File.ModTime())
		}
	}
	return false
}

// folderTime is what a layer says of when a folder changed: in the highest the truth, in
// others something that changes with their own files alone.
func (l *layout) folderTime(dir *unpacked.Node, layer int) time.Time {
	if layer == highest {
		return dir.File.ModTime()
	}
	if at, ok := l.newest[folderIn{dir, layer}]; ok {
		return at
	}
	return time.Unix(0, 0).UTC()
}

// run goes through all entries of all new layers in their order, with nil only to know how
// large they become.
func (l *layout) run(write func(layer int, data []byte, at int64) error) error {
	l.write, l.sizes, l.first = write, [MaxLayers]int64{}, map[*unpacked.File]string{}
	var failed error
	each(l.tree.Root(), func(n *unpacked.Node) {
		if failed == nil {
			if n.IsDir() {
				failed = l.folder(n)
			} else {
				failed = l.file(n)
			}
		}
	})
	for layer, size := range l.sizes {
		if size > 0 {
			l.sizes[layer] += endSize
		}
	}
	return failed
}

func (l *layout) folder(n *unpacked.Node) error {
	for layer := range MaxLayers {
		if l.in[n]&(1<<layer) == 0 || n.Parent == nil && layer != highest {
			continue
		}
		h := n.File.Header(name(n))
		h.ModTime = l.folderTime(n, layer)
		if err := l.header(layer, h); err != nil {
			return err
		}
	}
	return nil
}

func (l *layout) file(n *unpacked.Node) error {
	layer, f := l.layer(n), n.File
	if first, ok := l.first[f]; ok {
		h := f.Header(name(n))
		h.Typeflag, h.Linkname, h.Size, h.Devmajor, h.Devminor = tar.TypeLink, first, 0, 0, 0
		return l.header(layer, h)
	}
	if f.Names > 1 {
		l.first[f] = name(n)
	}
	if err := l.header(layer, f.Header(name(n))); err != nil {
		return err
	}
	if f.Type == tar.TypeReg && f.Size > 0 {
		l.places[f.Layer][f.Entry] = place{l.sizes[layer], f.Size, int8(layer) + 1}
		l.sizes[layer] += (f.Size + block - 1) / block * block
	}
	return nil
}

// header puts a header at the end of a layer.
func (l *layout) header(layer int, h *tar.Header) error {
	l.buf.Reset()
	if h.ModTime.Nanosecond() != 0 {
		h.Format = tar.FormatPAX // others have whole seconds
	}
	if err := tar.NewWriter(&l.buf).WriteHeader(h); err != nil {
		return fmt.Errorf("write /%s: %w", h.Name, err)
	}
	at := l.sizes[layer]
	l.sizes[layer] += int64(l.buf.Len())
	if l.write == nil {
		return nil
	}
	return l.write(layer, l.buf.Bytes(), at)
}

// name is a path as tars have it.
func name(n *unpacked.Node) string {
	switch {
	case n.Parent == nil:
		return "./"
	case n.IsDir():
		return n.Path() + "/"
	}
	return n.Path()
}

// fill reads an old layer once more and hands each content to where it goes.
func (l *layout) fill(layer int, in io.Reader, write func(layer int, content io.Reader, at int64) error) error {
	places, n := l.places[layer], 0
	err := unpacked.Entries(in, func(h *tar.Header, content io.Reader) error {
		if n == len(places) {
			return errChanged
		}
		p := places[n]
		n++
		if p.layer == 0 {
			return nil
		}
		if p.size != h.Size {
			return errChanged
		}
		return write(int(p.layer)-1, content, p.offset)
	})
	if err == nil && n != len(places) {
		err = errChanged
	}
	return err
}

var errChanged = errors.New("it is not what it was when it was read before")
