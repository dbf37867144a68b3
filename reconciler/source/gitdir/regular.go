package gitdir

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"

	"github.com/gitboot/gitboot/internal/ctxio"
)

// maxFile bounds a file of a local repo that is read whole, such as its
// index. Objects have bounds of their own.
const maxFile = 64 << 20

// open opens a file that may be anybody's: what is none, such as a pipe,
// could make the reader wait for ever.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file", path)
	case info.Size() > maxFile:
		err = fmt.Errorf("%s is larger than %d MiB", path, maxFile>>20)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func read(path string) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// regularFiles is a folder, in which go-git opens regular files only, to read
// them, until the context ends.
type regularFiles struct {
	billy.Filesystem
	ctx context.Context
}

// Files are those of a folder.
func Files(ctx context.Context, dir string) billy.Filesystem {
	return regularFiles{osfs.New(dir), ctx}
}

func (r regularFiles) Open(name string) (billy.File, error) { return r.OpenFile(name, os.O_RDONLY, 0) }

func (r regularFiles) OpenFile(name string, _ int, _ os.FileMode) (billy.File, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	f, err := open(filepath.Join(r.Root(), filepath.Join("/", name)))
	if err != nil {
		return nil, err
	}
	return &regularFile{File: f, r: io.LimitReader(ctxio.Reader(r.ctx, f), maxFile), name: name}, nil
}

func (r regularFiles) ReadDir(name string) ([]os.FileInfo, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	return r.Filesystem.ReadDir(name)
}

// A regularFile is read, and only that.
type regularFile struct {
	*os.File
	r    io.Reader
	name string
}

func (f *regularFile) Read(p []byte) (int, error) { return f.r.Read(p) }
func (f *regularFile) Name() string               { return f.name }
func (f *regularFile) Lock() error                { return nil }
func (f *regularFile) Unlock() error              { return nil }
