package source

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
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/gitboot/gitboot/reconciler/source/pack"
)

// commitFiles gives the files of a commit, below subdir.
func commitFiles(c *clone, of *commit, subdir string) (*files, error) {
	t := &tree{c: c, dirs: map[plumbing.Hash]*dir{}}
	f, err := newFiles(t, node{hash: of.tree, time: of.committer.when}, subdir)
	if err != nil {
		return nil, &FolderError{Folder: f.subdir, Commit: of.hash.String(), Err: err}
	}
	return f, nil
}

// A tree is the store of a commit's files. All have the commit's time.
type tree struct {
	c *clone

	mu   sync.Mutex
	dirs map[plumbing.Hash]*dir // by hash: equal folders are read once
}

type dir struct {
	sorted []node
	byName map[string]node
}

func (t *tree) child(parent node, name string) (node, error) {
	d, err := t.dir(parent)
	if err != nil {
		return node{}, err
	}
	n, ok := d.byName[name]
	if !ok {
		return node{}, fs.ErrNotExist
	}
	n.time = parent.time
	return n, nil
}

func (t *tree) list(parent node) ([]node, error) {
	d, err := t.dir(parent)
	if err != nil {
		return nil, err
	}
	nodes := slices.Clone(d.sorted)
	for i := range nodes {
		nodes[i].time = parent.time
	}
	return nodes, nil
}

func (t *tree) dir(of node) (*dir, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d, ok := t.dirs[of.hash]; ok {
		return d, nil
	}
	read, err := t.c.tree(of.hash)
	if err != nil {
		return nil, damaged(of.hash, err)
	}
	d := &dir{byName: make(map[string]node, len(read.Entries))}
	for _, e := range read.Entries {
		if e.Name == "" || e.Name == "." || e.Name == ".." || strings.ContainsAny(e.Name, "/\x00") {
			return nil, fmt.Errorf("it holds an entry named %q, which no file can have", e.Name)
		}
		if _, twice := d.byName[e.Name]; twice {
			return nil, fmt.Errorf("it holds two entries named %q", e.Name)
		}
		n := node{name: e.Name, mode: e.Mode, hash: e.Hash}
		d.byName[e.Name] = n
		d.sorted = append(d.sorted, n)
	}
	// git sorts folders as if their names ended in a slash
	slices.SortFunc(d.sorted, byName)
	t.dirs[of.hash] = d
	return d, nil
}

func byName(a, b node) int { return strings.Compare(a.name, b.name) }

// open gives a blob's content. A large one is streamed from the pack, by a
// reader of its own.
func (t *tree) open(n node) (io.ReadCloser, int64, error) {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	s, err := t.c.store()
	if err != nil {
		return nil, 0, damaged(n.hash, err)
	}
	r, size, err := s.OpenBlob(n.hash)
	if err != nil {
		return nil, 0, damaged(n.hash, err)
	}
	return blobReader{r, n.hash}, size, nil
}

func (t *tree) size(n node) (int64, error) {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	s, err := t.c.store()
	if err != nil {
		return 0, damaged(n.hash, err)
	}
	size, err := s.Size(n.hash)
	if err != nil {
		return 0, damaged(n.hash, err)
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

func (r *reader) has(h plumbing.Hash) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, err := r.store()
	return err == nil && s.Has(h)
}

func (r *reader) read(h plumbing.Hash, want plumbing.ObjectType) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, err := r.store()
	if err != nil {
		return nil, err
	}
	return s.Read(h, want)
}

func (r *reader) tree(h plumbing.Hash) (*object.Tree, error) {
	content, err := r.read(h, plumbing.TreeObject)
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
