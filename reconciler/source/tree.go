package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

const (
	// maxLinks is the kernel's own limit for one path.
	maxLinks = 40
	// maxRead bounds what is read into memory at once; Open streams.
	maxRead = 256 << 20
)

// files are a repo's files, read as they are asked for: those of a commit, or
// those that lie in a folder. Symlinks are followed, to anywhere in the repo
// (also outside of subdir), and nowhere else.
type files struct {
	store  store
	root   node
	subdir string
}

var (
	_ fs.ReadFileFS = (*files)(nil)
	_ fs.ReadDirFS  = (*files)(nil)
	_ fs.StatFS     = (*files)(nil)
	_ fs.ReadLinkFS = (*files)(nil)
)

// A store has the nodes of a tree. What a name means, links above all, is not
// decided here, so that it is the same in each.
type store interface {
	// child finds an entry of a folder; fs.ErrNotExist if there is none.
	child(parent node, name string) (node, error)
	// list returns a folder's entries, sorted by name.
	list(parent node) ([]node, error)
	// open gives a file's content, or a link's target, and its size.
	open(n node) (io.ReadCloser, int64, error)
	size(n node) (int64, error)
}

// A node is one entry of a tree.
type node struct {
	name string
	mode filemode.FileMode
	time time.Time
	hash plumbing.Hash // in a commit
	path string        // in a folder
}

func newFiles(s store, root node, subdir string) (*files, error) {
	root.name, root.mode = ".", filemode.Dir
	f := &files{store: s, root: root, subdir: strings.Trim(path.Clean("/"+subdir), "/")}
	n, err := f.walk(f.subdir, true)
	if err == nil && n.mode != filemode.Dir {
		err = errNotDir
	}
	return f, err
}

var (
	errNotDir    = errors.New("not a folder")
	errIsDir     = errors.New("is a folder")
	errLinks     = errors.New("too many symlinks follow one another")
	errLeaves    = errors.New("a symlink leaves the repo; let it name a file inside the repo by a relative path")
	errSubmodule = errors.New("is in a submodule, which is not read; add its files to the repo itself (git subtree, or a copy)")
	errName      = fmt.Errorf("%w: its name is not UTF-8; rename it", fs.ErrInvalid)
	errLFS       = errors.New("its content is in Git LFS, which is not read; commit the file itself, or name it by URL and sha256")
)

// find resolves a name as the fs functions get it.
func (f *files) find(op, name string, follow bool) (node, error) {
	switch {
	case !utf8.ValidString(name):
		return node{}, &fs.PathError{Op: op, Path: name, Err: errName}
	case !fs.ValidPath(name):
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
	return f.store.child(parent, name)
}

// target reads a symlink that stays in the repo as far as it alone shows.
func (f *files) target(link node) (string, error) {
	data, err := f.read(link)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(string(data), "/") {
		return "", errLeaves
	}
	return string(data), nil
}

// read reads a file's content, or a link's target.
func (f *files) read(n node) ([]byte, error) {
	r, size, err := f.store.open(n)
	if err != nil {
		return nil, err
	}
	if size > maxRead {
		return nil, errors.Join(fmt.Errorf("it is larger than %d MiB; put it into an image", maxRead>>20), r.Close())
	}
	data := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	_, err = data.ReadFrom(io.LimitReader(r, size))
	return data.Bytes(), errors.Join(err, r.Close())
}
