package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

const (
	// maxLinks is the kernel's own limit for one path.
	maxLinks = 40
	// maxRead bounds what is read into memory at once; Open streams.
	maxRead = 256 << 20
)

// files are a commit's files, read from its trees as they are asked for.
// Symlinks are followed, to anywhere in the repo (also outside of subdir).
type files struct {
	c      *clone
	root   node
	subdir string
	time   time.Time

	mu   sync.Mutex
	dirs map[plumbing.Hash]*dir // by hash: equal folders are read once
}

var (
	_ fs.ReadFileFS = (*files)(nil)
	_ fs.ReadDirFS  = (*files)(nil)
	_ fs.StatFS     = (*files)(nil)
	_ fs.ReadLinkFS = (*files)(nil)
)

// A node is one entry of a tree.
type node struct {
	name string
	mode filemode.FileMode
	hash plumbing.Hash
}

type dir struct {
	sorted []node
	byName map[string]node
}

func newFiles(c *clone, commit *object.Commit, subdir string) (*files, error) {
	subdir = strings.Trim(path.Clean("/"+subdir), "/")
	f := &files{
		c:      c,
		root:   node{name: ".", mode: filemode.Dir, hash: commit.TreeHash},
		subdir: subdir,
		time:   commit.Committer.When.UTC(),
		dirs:   map[plumbing.Hash]*dir{},
	}
	n, err := f.walk(subdir, true)
	if err == nil && n.mode != filemode.Dir {
		err = errNotDir
	}
	if err != nil {
		return nil, &FolderError{Folder: subdir, Commit: commit.Hash.String(), Err: err}
	}
	return f, nil
}

var (
	errNotDir    = errors.New("not a folder")
	errIsDir     = errors.New("is a folder")
	errLinks     = errors.New("too many symlinks follow one another")
	errLeaves    = errors.New("a symlink leaves the repo; let it name a file inside the repo by a relative path")
	errSubmodule = errors.New("is in a submodule, which is not read; add its files to the repo itself (git subtree, or a copy)")
	errLFS       = errors.New("its content is in Git LFS, which is not read; commit the file itself, or name it by URL and sha256")
)

// find resolves a name as the fs functions get it.
func (f *files) find(op, name string, follow bool) (node, error) {
	if !fs.ValidPath(name) {
		return node{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, err := f.walk(path.Join(f.subdir, name), follow)
	if err != nil {
		return node{}, &fs.PathError{Op: op, Path: name, Err: err}
	}
	n.name = path.Base(name)
	return n, nil
}

// walk follows a path from the repo's root. The names of hostile trees can
// do no harm here: only names that a path can hold are looked up.
func (f *files) walk(p string, follow bool) (node, error) {
	at := []node{f.root}
	links := 0
	for todo := strings.Split(p, "/"); len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(at) == 1 {
				return node{}, errLeaves
			}
			at = at[:len(at)-1]
			continue
		}
		n, err := f.child(at[len(at)-1], part)
		if err != nil {
			return node{}, err
		}
		if n.mode != filemode.Symlink || len(todo) == 0 && !follow {
			at = append(at, n)
			continue
		}
		if links++; links > maxLinks {
			return node{}, errLinks
		}
		to, err := f.target(n)
		if err != nil {
			return node{}, err
		}
		todo = append(strings.Split(to, "/"), todo...)
	}
	return at[len(at)-1], nil
}

func (f *files) child(parent node, name string) (node, error) {
	switch parent.mode {
	case filemode.Dir:
	case filemode.Submodule:
		return node{}, errSubmodule
	default:
		return node{}, fs.ErrNotExist
	}
	d, err := f.dir(parent.hash)
	if err != nil {
		return node{}, err
	}
	n, ok := d.byName[name]
	if !ok {
		return node{}, fs.ErrNotExist
	}
	return n, nil
}

// target reads a symlink that stays in the repo as far as it alone shows.
func (f *files) target(link node) (string, error) {
	data, err := f.blob(link.hash)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(string(data), "/") {
		return "", errLeaves
	}
	return string(data), nil
}

func (f *files) dir(h plumbing.Hash) (*dir, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d, ok := f.dirs[h]; ok {
		return d, nil
	}
	f.c.mu.Lock()
	t, err := object.GetTree(f.c.st, h)
	f.c.mu.Unlock()
	if err != nil {
		return nil, damaged(h, err)
	}
	d := &dir{byName: make(map[string]node, len(t.Entries))}
	for _, e := range t.Entries {
		if !fs.ValidPath(e.Name) || e.Name == "." || strings.Contains(e.Name, "/") {
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
	slices.SortFunc(d.sorted, func(a, b node) int { return strings.Compare(a.name, b.name) })
	f.dirs[h] = d
	return d, nil
}

// open gives a blob's content and size. A large one is streamed from the
// pack, by a reader of its own.
func (f *files) open(h plumbing.Hash) (io.ReadCloser, int64, error) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	o, err := f.c.st.EncodedObject(plumbing.BlobObject, h)
	if err != nil {
		return nil, 0, damaged(h, err)
	}
	r, err := o.Reader()
	if err != nil {
		return nil, 0, damaged(h, err)
	}
	return r, o.Size(), nil
}

func (f *files) blob(h plumbing.Hash) ([]byte, error) {
	r, size, err := f.open(h)
	if err != nil {
		return nil, err
	}
	if size > maxRead {
		return nil, errors.Join(fmt.Errorf("it is larger than %d MiB; put it into an image", maxRead>>20), r.Close())
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, damaged(h, err)
	}
	return data, nil
}

func damaged(h plumbing.Hash, err error) error {
	return fmt.Errorf("reading object %s: %w; the clone is damaged, remove it and fetch again", h, err)
}
