package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
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
	t.c.mu.Lock()
	read, err := object.GetTree(t.c.st, of.hash)
	t.c.mu.Unlock()
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
	o, err := t.c.st.EncodedObject(plumbing.BlobObject, n.hash)
	if err != nil {
		return nil, 0, damaged(n.hash, err)
	}
	r, err := o.Reader()
	if err != nil {
		return nil, 0, damaged(n.hash, err)
	}
	return blobReader{r, n.hash}, o.Size(), nil
}

func (t *tree) size(n node) (int64, error) {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	size, err := t.c.st.EncodedObjectSize(n.hash)
	if err != nil {
		return 0, damaged(n.hash, err)
	}
	return size, nil
}

// A blobReader says of a failure that it is the clone's.
type blobReader struct {
	io.ReadCloser
	hash plumbing.Hash
}

func (r blobReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = damaged(r.hash, err)
	}
	return n, err
}

func damaged(h plumbing.Hash, err error) error {
	return fmt.Errorf("reading object %s: %w; the clone is damaged, remove it and fetch again", h, err)
}
