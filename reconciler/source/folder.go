package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/go-git/go-git/v5/plumbing/filemode"

	"github.com/gitboot/gitboot/reconciler/source/gitdir"
	"github.com/gitboot/gitboot/reconciler/source/treefs"
)

// Folder gives the files of a config repo as they lie in a folder, committed
// or not, the way that Files gives those of a commit: what git does not keep
// (its own folder, empty ones, devices) is not there, other repos are not
// read, and links stay within the work tree that the folder is part of, or
// within the folder where it is part of none.
func Folder(dir string) (fs.FS, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the config repo in a folder: %w", err)
	}
	top := topOf(real)
	subdir, err := filepath.Rel(top, real)
	if err != nil {
		return nil, fmt.Errorf("reading the config repo in %s: %w", dir, err)
	}
	f, err := treefs.New(&folder{top: top, kept: map[string]filemode.FileMode{}}, treefs.Node{}, filepath.ToSlash(subdir))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // an empty folder: what is missing is told when it is asked for
	}
	if err != nil {
		return nil, fmt.Errorf("reading the config repo in %s: %w", dir, err)
	}
	return f, nil
}

// Worktree gives the files of a config repo on this machine as they lie there,
// below subdir.
func Worktree(opts Options, subdir string) (fs.FS, error) {
	r, err := newRemote(opts)
	local, ok := r.(*localRemote)
	if err == nil && !ok {
		err = fmt.Errorf("reading uncommitted files of %s: it is no folder of this machine; name one with --repo DIR", opts.URL)
	}
	if err != nil {
		return nil, &OptionError{err}
	}
	if err := local.mayRead(local.dir, filepath.Join(local.dir, gitdir.Name)); err != nil {
		return nil, err
	}
	files, err := Folder(filepath.Join(local.dir, subdir))
	if err != nil {
		return nil, &UnreachableError{URL: opts.URL, Path: true, Err: err}
	}
	return files, nil
}

// topOf returns the root of the work tree that dir is in, else dir.
func topOf(dir string) string {
	for top := dir; ; top = filepath.Dir(top) {
		if _, err := os.Lstat(filepath.Join(top, gitdir.Name)); err == nil {
			return top
		}
		if top == filepath.Dir(top) {
			return dir
		}
	}
}

var errSpecial = errors.New("is a device, a pipe or a socket; a repo holds files")

// A folder is the store of a work tree.
type folder struct {
	top string

	mu   sync.Mutex
	kept map[string]filemode.FileMode // what git would make of folders
}

func (f *folder) Child(parent treefs.Node, name string) (treefs.Node, error) {
	at := filepath.Join(parent.Path, name)
	info, err := os.Lstat(filepath.Join(f.top, at))
	switch {
	case name == gitdir.Name || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENAMETOOLONG):
		return treefs.Node{}, fs.ErrNotExist
	case err != nil:
		return treefs.Node{}, bare(err)
	}
	n := treefs.Node{Name: name, Path: at, Time: info.ModTime(), Mode: f.mode(at, info)}
	if n.Mode == filemode.Empty {
		return treefs.Node{}, map[bool]error{true: fs.ErrNotExist, false: errSpecial}[info.IsDir()]
	}
	return n, nil
}

func (f *folder) List(parent treefs.Node) ([]treefs.Node, error) {
	entries, err := os.ReadDir(filepath.Join(f.top, parent.Path))
	var nodes []treefs.Node
	for _, e := range entries {
		n, err := f.Child(parent, e.Name())
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, errSpecial):
			continue
		case err != nil:
			return nil, err
		}
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, treefs.ByName)
	return nodes, bare(err)
}

// bare takes the path out of an error, which is one of this machine's.
func bare(err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return at.Err
	}
	return err
}

// mode is what git would keep of a file; Empty means nothing.
func (f *folder) mode(at string, info fs.FileInfo) filemode.FileMode {
	switch mode := info.Mode(); {
	case mode.IsDir():
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.dirMode(at)
	case mode&fs.ModeSymlink != 0:
		return filemode.Symlink
	case !mode.IsRegular():
		return filemode.Empty
	case mode&0o100 != 0:
		return filemode.Executable
	}
	return filemode.Regular
}

// dirMode says of a folder whether it is another repo, or has any file. One
// that cannot be read is taken for one that has.
func (f *folder) dirMode(at string) filemode.FileMode {
	if mode, ok := f.kept[at]; ok {
		return mode
	}
	mode := filemode.Empty
	path := filepath.Join(f.top, at)
	if _, err := os.Lstat(filepath.Join(path, gitdir.Name)); err == nil {
		mode = filemode.Submodule
	} else if f.holds(at, path) {
		mode = filemode.Dir
	}
	f.kept[at] = mode
	return mode
}

// holds reads a folder until it finds a file.
func (f *folder) holds(at, path string) bool {
	dir, err := os.Open(path)
	if err != nil {
		return true
	}
	defer dir.Close()
	for {
		entries, err := dir.ReadDir(64)
		for _, e := range entries {
			if e.Type().IsRegular() || e.Type() == fs.ModeSymlink || e.IsDir() && f.dirMode(filepath.Join(at, e.Name())) != filemode.Empty {
				return true
			}
		}
		if err != nil {
			return !errors.Is(err, io.EOF)
		}
	}
}

// Open never waits: a pipe or a device that took a file's place is refused.
func (f *folder) Open(n treefs.Node) (io.ReadCloser, int64, error) {
	path := filepath.Join(f.top, n.Path)
	if n.Mode == filemode.Symlink {
		to, err := os.Readlink(path)
		return io.NopCloser(strings.NewReader(to)), int64(len(to)), bare(err)
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, bare(err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errSpecial
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

func (f *folder) Size(n treefs.Node) (int64, error) {
	info, err := os.Lstat(filepath.Join(f.top, n.Path))
	if err != nil {
		return 0, bare(err)
	}
	return info.Size(), nil
}
