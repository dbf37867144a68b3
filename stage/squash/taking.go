package squash

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/stage/internal/tarfs"
)

// A Taking is what a layer takes from those below it.
type Taking struct {
	Lacks *Lacks       // nil: it needs nothing
	tree  *rootfs.Tree // nil: nothing is below
	found []taken
	// answers are the indexes of found; of what is lacking and was not found
	// it is none.
	answers map[lack]int
	// folders remembers what at has found, links what linked has, and indexes
	// what is in them.
	folders map[string]*rootfs.Node
	links   map[string]*rootfs.Node
	indexes map[*rootfs.Node]*rootfs.Index
}

// A lack is a path that the layer names, of a file or of a folder.
type lack struct {
	path string
	file bool
}

const none = -1

// A taken is what lies below at a path that the layer names.
type taken struct {
	lack
	node *rootfs.Node
	rootfs.Attributes
	// on are the attributes of all folders that lead to where the links below
	// lead a folder; nil if it is where it is named.
	on []rootfs.Attributes
}

// Take looks up what a layer lacks in the files of the layers below it, lowest
// first. The caller closes what it returns.
func Take(want *Lacks, below []string) (_ *Taking, err error) {
	t := &Taking{
		Lacks: want, answers: make(map[lack]int), folders: make(map[string]*rootfs.Node),
		links: make(map[string]*rootfs.Node), indexes: make(map[*rootfs.Node]*rootfs.Index),
	}
	switch {
	case want == nil || len(below) == 0:
		return t, nil
	case want.Root:
		return nil, errors.New("the layer hides the whole root of the layers below it, which overlayfs cannot do; build the image from scratch, without them")
	}
	if t.tree, err = rootfs.OpenTree(below); err != nil {
		return nil, err
	}
	t.folders["."] = t.tree.Root()
	if err := t.lookUp(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *Taking) lookUp() error {
	for _, p := range t.Lacks.Folders {
		t.answers[lack{p, false}] = none
	}
	for _, p := range t.Lacks.Folders {
		if err := t.folder(p); err != nil {
			return err
		}
	}
	for _, p := range t.Lacks.Files {
		t.answers[lack{p, true}] = none
		if err := t.fileAt(p); err != nil {
			return err
		}
	}
	return nil
}

func (t *Taking) add(f taken) {
	t.answers[f.lack] = len(t.found)
	t.found = append(t.found, f)
}

// Close ends reading what lies below.
func (t *Taking) Close() error {
	if t.tree == nil {
		return nil
	}
	return t.tree.Close()
}

func (t *Taking) folder(p string) error {
	n, err := t.at(p)
	if n == nil || err != nil {
		return err
	}
	f := taken{lack: lack{p, false}, node: n}
	if f.Attributes, err = t.attributes(n); err != nil {
		return err
	}
	if n.Path == p {
		t.add(f)
		return nil
	}
	for dir := n.Path; dir != "."; dir = path.Dir(dir) {
		on, err := t.tree.Lookup(dir)
		if err != nil {
			return err
		}
		a, err := t.attributes(on)
		if err != nil {
			return err
		}
		f.on = append(f.on, a)
	}
	t.add(f)
	return nil
}

// at returns the folder below that shows through the layer's folder p, nil if
// there is none. A link below leads on where the layer has no entry of its own.
func (t *Taking) at(p string) (*rootfs.Node, error) {
	if n, known := t.folders[p]; known {
		return n, nil
	}
	n, err := t.at(path.Dir(p))
	if n != nil && err == nil {
		n, err = t.child(n, path.Base(p))
	}
	if _, lacking := t.answers[lack{p, false}]; lacking && n != nil && n.Mode().Type() == fs.ModeSymlink {
		n, err = t.tree.Lookup(n.Path)
		if errors.Is(err, fs.ErrNotExist) {
			n, err = nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if n != nil && !n.Mode().IsDir() {
		n = nil
	}
	t.folders[p] = n
	return n, nil
}

// child finds a name in a folder in which there may be many to be found.
func (t *Taking) child(dir *rootfs.Node, name string) (_ *rootfs.Node, err error) {
	x := t.indexes[dir]
	if x == nil {
		if x, err = t.tree.Index(dir); err != nil {
			return nil, err
		}
		t.indexes[dir] = x
	}
	return x.Child(name)
}

func (t *Taking) fileAt(p string) error {
	dir, err := t.linked(path.Dir(p))
	if dir == nil || err != nil {
		return err
	}
	n, err := t.child(dir, path.Base(p))
	if err != nil || n == nil {
		return err
	}
	f := taken{lack: lack{p, true}, node: n}
	if f.Attributes, err = t.attributes(n); err == nil {
		t.add(f)
	}
	return err
}

// linked returns the folder that a path leads to, nil if there is none.
func (t *Taking) linked(dir string) (*rootfs.Node, error) {
	if n, known := t.links[dir]; known {
		return n, nil
	}
	n, err := t.tree.Lookup(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !n.Mode().IsDir() {
		n, err = nil, nil
	}
	if err == nil {
		t.links[dir] = n
	}
	return n, err
}

// attributes leaves out what overlayfs keeps for itself.
func (t *Taking) attributes(n *rootfs.Node) (rootfs.Attributes, error) {
	a, err := t.tree.Attributes(n)
	maps.DeleteFunc(a.Xattrs, func(key, _ string) bool { return strings.HasPrefix(key, "trusted.overlay.") })
	return a, err
}

// Hash names what was taken: equal ones make equal objects of a layer. It is
// empty if nothing was.
func (t *Taking) Hash() string {
	if len(t.found) == 0 {
		return ""
	}
	h := sha256.New()
	for _, f := range t.found {
		fmt.Fprintf(h, "%q %t", f.path, f.file)
		if f.on != nil {
			fmt.Fprintf(h, " at %q", f.node.Path)
		}
		if f.file { // where it is stands for what is in it
			fmt.Fprintf(h, " of %q %q", t.tree.Origins(f.node)[0], f.node.Path)
		}
		for _, a := range append([]rootfs.Attributes{f.Attributes}, f.on...) {
			writeAttributes(h, a)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func writeAttributes(w io.Writer, a rootfs.Attributes) {
	fmt.Fprintf(w, " %o %d:%d %d %d %d:%d %q", a.Mode, a.UID, a.GID, a.ModTime, a.Size, a.Major, a.Minor, a.Link)
	for _, key := range slices.Sorted(maps.Keys(a.Xattrs)) {
		fmt.Fprintf(w, " %q=%q", key, a.Xattrs[key])
	}
	fmt.Fprintln(w)
}

// Plain reports whether the folders are what they are without an answer.
func (t *Taking) Plain() bool {
	return !slices.ContainsFunc(t.found, func(f taken) bool { return f.on != nil || !isPlain(f.Attributes) })
}

func isPlain(a rootfs.Attributes) bool {
	return a.Mode == fs.ModeDir|0o755 && a.UID == 0 && a.GID == 0 && len(a.Xattrs) == 0
}

// answer gives the layer's rewriter what was found for a lack. Those that are
// not among the layer's come from folders that were moved.
func (t *Taking) answer(rw *tarfs.Rewriter, l tarfs.Lack) error {
	i, known := t.answers[lack{l.Path, l.File}]
	switch {
	case known && i != none:
		f := t.found[i]
		if f.on != nil {
			return rw.Move(l, f.node.Path)
		}
		return rw.Lend(l, f.header(), func() (io.Reader, error) { return t.tree.Open(f.node) })
	case known || t.tree == nil:
		return nil
	}
	n, err := t.at(l.Path)
	if n == nil || err != nil {
		return err
	}
	a, err := t.attributes(n)
	if err != nil {
		return err
	}
	return rw.Lend(l, taken{Attributes: a}.header(), nil)
}

func (f taken) header() *tar.Header {
	hdr := &tar.Header{
		Mode: int64(f.Mode.Perm()), Uid: f.UID, Gid: f.GID, ModTime: time.Unix(int64(f.ModTime), 0), Size: f.Size,
		Linkname: f.Link, Devmajor: int64(f.Major), Devminor: int64(f.Minor), PAXRecords: make(map[string]string),
	}
	for bit, flag := range map[int64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if f.Mode&flag != 0 {
			hdr.Mode |= bit
		}
	}
	for key, value := range f.Xattrs {
		hdr.PAXRecords["SCHILY.xattr."+key] = value
	}
	switch f.Mode.Type() {
	case 0:
		hdr.Typeflag = tar.TypeReg
	case fs.ModeDir:
		hdr.Typeflag = tar.TypeDir
	case fs.ModeSymlink:
		hdr.Typeflag = tar.TypeSymlink
	case fs.ModeDevice:
		hdr.Typeflag = tar.TypeBlock
	case fs.ModeDevice | fs.ModeCharDevice:
		hdr.Typeflag = tar.TypeChar
	case fs.ModeNamedPipe:
		hdr.Typeflag = tar.TypeFifo
	}
	return hdr
}
