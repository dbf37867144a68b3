// Package treefs reads a tree of git's as a file system: what names, links,
// submodules and Git LFS mean is decided here, for commits and for folders.
package treefs

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

// Files are a repo's files, read as they are asked for: those of a commit, or
// those that lie in a folder. Symlinks are followed, to anywhere in the repo
// (also outside of subdir), and nowhere else.
type Files struct {
	store  *watched
	root   Node
	subdir string
}

var (
	_ fs.ReadFileFS = (*Files)(nil)
	_ fs.ReadDirFS  = (*Files)(nil)
	_ fs.StatFS     = (*Files)(nil)
	_ fs.ReadLinkFS = (*Files)(nil)
)

// A Store has the nodes of a tree. What a name means, links above all, is not
// decided here, so that it is the same in each.
type Store interface {
	// Child finds an entry of a folder; fs.ErrNotExist if there is none.
	Child(parent Node, name string) (Node, error)
	// List returns a folder's entries, sorted by name.
	List(parent Node) ([]Node, error)
	// Open gives a file's content, or a link's target, and its size.
	Open(n Node) (io.ReadCloser, int64, error)
	// Size is a file's.
	Size(n Node) (int64, error)
}

// A Node is one entry of a tree.
type Node struct {
	Name string
	Mode filemode.FileMode
	Time time.Time
	Hash plumbing.Hash // in a commit
	Path string        // in a folder
}

// ByName is the order of a list.
func ByName(a, b Node) int { return strings.Compare(a.Name, b.Name) }

// New gives the files below subdir.
func New(s Store, root Node, subdir string) (*Files, error) {
	root.Name, root.Mode = ".", filemode.Dir
	f := &Files{store: &watched{Store: s}, root: root, subdir: strings.Trim(path.Clean("/"+subdir), "/")}
	n, err := f.walk(f.subdir, true)
	if err == nil && n.Mode != filemode.Dir {
		err = errNotDir
	}
	return f, err
}

var (
	errNotDir    = errors.New("not a folder")
	errIsDir     = errors.New("is a folder")
	ErrLinks     = errors.New("too many symlinks follow one another")
	ErrLeaves    = errors.New("a symlink leaves the repo; let it name a file inside the repo by a relative path")
	ErrSubmodule = errors.New("is in a submodule, which is not read; say submodules = true in agent.toml, or add its files to the repo itself (git subtree, or a copy)")
	errName      = fmt.Errorf("%w: its name is not UTF-8; rename it", fs.ErrInvalid)
	ErrLFS       = errors.New("its content is in Git LFS, which is not read; commit the file itself, or name it by URL and sha256")
)

// Subdir is the folder below which the files are, "" for all.
func (f *Files) Subdir() string { return f.subdir }

// find resolves a name as the fs functions get it.
func (f *Files) find(op, name string, follow bool) (Node, error) {
	switch {
	case !utf8.ValidString(name):
		return Node{}, &fs.PathError{Op: op, Path: name, Err: errName}
	case !fs.ValidPath(name):
		return Node{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, err := f.walk(path.Join(f.subdir, name), follow)
	if err != nil {
		return Node{}, &fs.PathError{Op: op, Path: name, Err: err}
	}
	n.Name = path.Base(name)
	return n, nil
}

// walk follows a path from the repo's root. The names of hostile trees can
// do no harm here: only names that a path can hold are looked up.
func (f *Files) walk(p string, follow bool) (Node, error) {
	at := []Node{f.root}
	links := 0
	for todo := strings.Split(p, "/"); len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(at) == 1 {
				return Node{}, ErrLeaves
			}
			at = at[:len(at)-1]
			continue
		}
		n, err := f.child(at[len(at)-1], part)
		if err != nil {
			return Node{}, err
		}
		if n.Mode != filemode.Symlink || len(todo) == 0 && !follow {
			at = append(at, n)
			continue
		}
		if links++; links > maxLinks {
			return Node{}, ErrLinks
		}
		to, err := f.target(n)
		if err != nil {
			return Node{}, err
		}
		todo = append(strings.Split(to, "/"), todo...)
	}
	return at[len(at)-1], nil
}

func (f *Files) child(parent Node, name string) (Node, error) {
	switch parent.Mode {
	case filemode.Dir:
	case filemode.Submodule:
		return Node{}, ErrSubmodule
	default:
		return Node{}, fs.ErrNotExist
	}
	return f.store.Child(parent, name)
}

// target reads a symlink that stays in the repo as far as it alone shows.
func (f *Files) target(link Node) (string, error) {
	data, err := f.read(link)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(string(data), "/") {
		return "", ErrLeaves
	}
	return string(data), nil
}

// read reads a file's content, or a link's target.
func (f *Files) read(n Node) ([]byte, error) {
	r, size, err := f.store.Open(n)
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
