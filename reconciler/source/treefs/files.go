package treefs

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// lfsHead begins every Git LFS pointer (git-lfs, docs/spec.md), and
// lfsMax is the size that a pointer stays below.
const (
	lfsHead = "version https://git-lfs.github.com/spec/"
	lfsMax  = 1024
	// maxBuffer bounds what is read ahead of a file; most config files are far smaller.
	maxBuffer = 4 << 10
)

// Open implements fs.FS.
func (f *Files) Open(name string) (fs.File, error) {
	n, err := f.find("open", name, true)
	if err != nil {
		return nil, err
	}
	if n.Mode == filemode.Dir {
		entries, err := f.ReadDir(name)
		return &openDir{info: f.info(n, 0), rest: entries}, err
	}
	file, err := f.stream(n)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return file, nil
}

func (f *Files) stream(n Node) (*openFile, error) {
	if n.Mode == filemode.Submodule {
		return nil, ErrSubmodule
	}
	r, size, err := f.store.Open(n)
	if err != nil {
		return nil, err
	}
	buf := bufio.NewReaderSize(r, int(min(size, maxBuffer)))
	if head, _ := buf.Peek(len(lfsHead)); size < lfsMax && string(head) == lfsHead {
		return nil, errors.Join(ErrLFS, r.Close())
	}
	return &openFile{Reader: buf, Closer: r, info: f.info(n, size)}, nil
}

// ReadFile implements fs.ReadFileFS.
func (f *Files) ReadFile(name string) ([]byte, error) {
	n, err := f.find("read", name, true)
	if err != nil {
		return nil, err
	}
	if n.Mode == filemode.Dir {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errIsDir}
	}
	return f.content("read", name, n)
}

// ReadDir implements fs.ReadDirFS.
func (f *Files) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := f.find("readdir", name, true)
	if err == nil && n.Mode != filemode.Dir {
		err = &fs.PathError{Op: "readdir", Path: name, Err: errNotDir}
	}
	if err != nil {
		return nil, err
	}
	nodes, err := f.store.List(n)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	entries := make([]fs.DirEntry, len(nodes))
	for i, n := range nodes {
		entries[i] = dirEntry{f, n}
	}
	return entries, nil
}

// Stat implements fs.StatFS; it follows symlinks.
func (f *Files) Stat(name string) (fs.FileInfo, error) { return f.stat("stat", name, true) }

// Lstat implements fs.ReadLinkFS.
func (f *Files) Lstat(name string) (fs.FileInfo, error) { return f.stat("lstat", name, false) }

// ReadLink implements fs.ReadLinkFS.
func (f *Files) ReadLink(name string) (string, error) {
	n, err := f.find("readlink", name, false)
	if err == nil && n.Mode != filemode.Symlink {
		err = &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return "", err
	}
	data, err := f.read(n)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(data), nil
}

func (f *Files) stat(op, name string, follow bool) (fs.FileInfo, error) {
	n, err := f.find(op, name, follow)
	if err != nil {
		return nil, err
	}
	info, err := f.sized(n)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return info, nil
}

// content reads a file whose content is really in the repo.
func (f *Files) content(op, name string, n Node) ([]byte, error) {
	if n.Mode == filemode.Submodule {
		return nil, &fs.PathError{Op: op, Path: name, Err: ErrSubmodule}
	}
	data, err := f.read(n)
	if err == nil && len(data) < lfsMax && bytes.HasPrefix(data, []byte(lfsHead)) {
		err = ErrLFS
	}
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return data, nil
}

func (f *Files) sized(n Node) (fs.FileInfo, error) {
	if n.Mode == filemode.Dir || n.Mode == filemode.Submodule {
		return f.info(n, 0), nil
	}
	size, err := f.store.Size(n)
	if err != nil {
		return nil, err
	}
	return f.info(n, size), nil
}

func (f *Files) info(n Node, size int64) fileInfo {
	return fileInfo{name: n.Name, mode: fsMode(n.Mode), size: size, time: n.Time}
}

// fsMode maps the few modes that git knows. A submodule is neither a file nor
// a folder here, so that who walks the tree passes it by.
func fsMode(m filemode.FileMode) fs.FileMode {
	switch m {
	case filemode.Dir:
		return fs.ModeDir | 0o755
	case filemode.Executable:
		return 0o755
	case filemode.Symlink:
		return fs.ModeSymlink | 0o777
	case filemode.Submodule:
		return fs.ModeIrregular
	}
	return 0o644
}

type fileInfo struct {
	name string
	mode fs.FileMode
	size int64
	time time.Time
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) Mode() fs.FileMode  { return i.mode }
func (i fileInfo) ModTime() time.Time { return i.time }
func (i fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }

type dirEntry struct {
	f *Files
	n Node
}

func (e dirEntry) Name() string               { return e.n.Name }
func (e dirEntry) IsDir() bool                { return e.n.Mode == filemode.Dir }
func (e dirEntry) Type() fs.FileMode          { return fsMode(e.n.Mode).Type() }
func (e dirEntry) Info() (fs.FileInfo, error) { return e.f.sized(e.n) }
func (e dirEntry) String() string             { return fs.FormatDirEntry(e) }

type openFile struct {
	io.Reader
	io.Closer
	info fileInfo
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }

type openDir struct {
	info fileInfo
	rest []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: errIsDir}
}

// ReadDir implements fs.ReadDirFile.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 || n > len(d.rest) {
		if n > 0 && len(d.rest) == 0 {
			return nil, io.EOF
		}
		n = len(d.rest)
	}
	some := d.rest[:n]
	d.rest = d.rest[n:]
	return some, nil
}
