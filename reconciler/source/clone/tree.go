package clone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/source/commit"
	"github.com/gitboot/gitboot/reconciler/source/pack"
	"github.com/gitboot/gitboot/reconciler/source/treefs"
)

// A Module is a submodule's commit: the clone that has it, and its tree.
type Module struct {
	In   *Clone
	Tree plumbing.Hash
}

// Files gives the files of a commit, below subdir, with those of submodules, by
// their commits, in their places.
func (c *Clone) Files(of *commit.Commit, subdir string, modules map[plumbing.Hash]Module) (*treefs.Files, error) {
	t := &tree{c: c, modules: modules, dirs: map[plumbing.Hash]dir{}}
	return treefs.New(t, treefs.Node{Hash: of.Tree, Time: of.Committer.When}, subdir)
}

// ModuleAt is the commit of the submodule at a path of a commit; fs.ErrNotExist if
// there is none.
func (r *reader) ModuleAt(of *commit.Commit, path string) (plumbing.Hash, error) {
	at := object.TreeEntry{Mode: filemode.Dir, Hash: of.Tree}
	for name := range strings.SplitSeq(path, "/") {
		if at.Mode != filemode.Dir {
			return at.Hash, fs.ErrNotExist
		}
		read, err := r.Tree(at.Hash)
		if err != nil {
			return at.Hash, err
		}
		i := slices.IndexFunc(read.Entries, func(e object.TreeEntry) bool { return e.Name == name })
		if i < 0 {
			return at.Hash, fs.ErrNotExist
		}
		at = read.Entries[i]
	}
	if at.Mode != filemode.Submodule {
		return at.Hash, fs.ErrNotExist
	}
	return at.Hash, nil
}

// A tree is the store of a commit's files. All have the commit's time.
type tree struct {
	c       *Clone
	modules map[plumbing.Hash]Module

	mu   sync.Mutex
	dirs map[plumbing.Hash]dir // by Hash: equal folders are read once
}

// A dir is a folder's entries, sorted by name; git sorts folders as if theirs ended in a
// slash.
type dir []object.TreeEntry

func byName(e object.TreeEntry, name string) int { return strings.Compare(e.Name, name) }

func (t *tree) Child(parent treefs.Node, name string) (treefs.Node, error) {
	d, err := t.dir(parent)
	if err != nil {
		return treefs.Node{}, err
	}
	i, ok := slices.BinarySearchFunc(d, name, byName)
	if !ok {
		return treefs.Node{}, fs.ErrNotExist
	}
	return t.placed(d[i], parent), nil
}

// placed is an entry as it is in its folder: a submodule that is read is one, too.
func (t *tree) placed(e object.TreeEntry, parent treefs.Node) treefs.Node {
	n := treefs.Node{Name: e.Name, Mode: e.Mode, Hash: e.Hash, Time: parent.Time}
	if m, ok := t.modules[n.Hash]; ok && n.Mode == filemode.Submodule {
		n.Mode, n.Hash = filemode.Dir, m.Tree
	}
	return n
}

// has is the clone that has an object. Its name says what it is, wherever it is.
func (t *tree) has(h plumbing.Hash) *Clone {
	if len(t.modules) == 0 || t.c.Has(h) {
		return t.c
	}
	for _, m := range t.modules {
		if m.In.Has(h) {
			return m.In
		}
	}
	return t.c
}

func (t *tree) List(parent treefs.Node) ([]treefs.Node, error) {
	d, err := t.dir(parent)
	if err != nil {
		return nil, err
	}
	nodes := make([]treefs.Node, len(d))
	for i, e := range d {
		nodes[i] = t.placed(e, parent)
	}
	return nodes, nil
}

func (t *tree) dir(of treefs.Node) (dir, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d, ok := t.dirs[of.Hash]; ok {
		return d, nil
	}
	read, err := t.has(of.Hash).Tree(of.Hash)
	if err != nil {
		return nil, damaged(of.Hash, err)
	}
	d := dir(read.Entries)
	slices.SortFunc(d, func(a, b object.TreeEntry) int { return byName(a, b.Name) })
	for i, e := range d {
		if e.Name == "" || e.Name == "." || e.Name == ".." || strings.ContainsAny(e.Name, "/\x00") {
			return nil, fmt.Errorf("it holds an entry named %q, which no file can have", e.Name)
		}
		if i > 0 && e.Name == d[i-1].Name {
			return nil, fmt.Errorf("it holds two entries named %q", e.Name)
		}
	}
	t.dirs[of.Hash] = d
	return d, nil
}

// Open gives a blob's content. A large one is streamed from the pack, by a
// reader of its own.
func (t *tree) Open(n treefs.Node) (io.ReadCloser, int64, error) {
	c := t.has(n.Hash)
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.store()
	if err != nil {
		return nil, 0, damaged(n.Hash, err)
	}
	r, size, err := s.OpenBlob(n.Hash)
	if err != nil {
		return nil, 0, damaged(n.Hash, err)
	}
	return blobReader{r, n.Hash}, size, nil
}

func (t *tree) Size(n treefs.Node) (int64, error) {
	c := t.has(n.Hash)
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.store()
	if err != nil {
		return 0, damaged(n.Hash, err)
	}
	size, err := s.Size(n.Hash)
	if err != nil {
		return 0, damaged(n.Hash, err)
	}
	return size, nil
}

// A blobReader says of a failure that it is the clone's.
type blobReader struct {
	io.Reader
	hash plumbing.Hash
}

func (r blobReader) Close() error { return nil }

func (r blobReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = damaged(r.hash, err)
	}
	return n, err
}

func damaged(h plumbing.Hash, err error) error {
	if durable.OfMachine(err) {
		return fmt.Errorf("reading object %s: %w", h, err)
	}
	return fmt.Errorf("reading object %s: %w; the clone is damaged, remove it and fetch again", h, err)
}

// A reader gives a clone's objects.
type reader struct {
	in string // the folder that they are in

	mu     sync.Mutex // a store is for one goroutine at a time
	opened *pack.Store
}

// store opens what is read from, once. The caller holds r.mu.
func (r *reader) store() (*pack.Store, error) {
	if r.opened == nil {
		var err error
		if r.opened, err = pack.Open(context.Background(), r.in); err != nil {
			return nil, err
		}
	}
	r.opened.Renew()
	return r.opened, nil
}

func (r *reader) Has(h plumbing.Hash) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, err := r.store()
	return err == nil && s.Find(h) == nil
}

func (r *reader) Read(h plumbing.Hash, want plumbing.ObjectType) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, err := r.store()
	if err != nil {
		return nil, err
	}
	return s.Read(h, want)
}

func (r *reader) Tree(h plumbing.Hash) (*object.Tree, error) {
	content, err := r.Read(h, plumbing.TreeObject)
	if err != nil {
		return nil, err
	}
	var o plumbing.MemoryObject
	o.SetType(plumbing.TreeObject)
	if _, err := o.Write(content); err != nil {
		return nil, err
	}
	tree := &object.Tree{}
	return tree, tree.Decode(&o)
}

// Commit reads a commit of the clone.
func (c *Clone) Commit(h plumbing.Hash) (*commit.Commit, error) {
	raw, err := c.Read(h, plumbing.CommitObject)
	if err != nil {
		return nil, err
	}
	found, err := commit.Parse(raw)
	if err != nil {
		return nil, &commit.FormError{Hash: h.String(), Reason: err.Error()}
	}
	if found.Hash != h {
		return nil, fmt.Errorf("commit %s was found in its place", found.Hash)
	}
	return found, nil
}

// Tag reads an annotated tag of the clone.
func (r *reader) Tag(h plumbing.Hash) (*commit.Tag, error) {
	raw, err := r.Read(h, plumbing.TagObject)
	if err != nil {
		return nil, err
	}
	found, err := commit.ParseTag(raw)
	if err != nil {
		return nil, &commit.FormError{Hash: h.String(), Tag: true, Reason: err.Error()}
	}
	return found, nil
}
