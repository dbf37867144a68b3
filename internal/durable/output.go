package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Output has what somebody named written: a file is there whole or as it was, and so is
// what a link leads to; a device or pipe, as /dev/stdout may be one, is written to.
func Output(path string, perm fs.FileMode, write func(io.Writer) error) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err == nil && !replaceable(info.Mode()):
		return writeInto(path, write)
	case err == nil:
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	}
	f, err := Create(filepath.Dir(path), perm)
	if err != nil {
		return err
	}
	defer f.Discard()
	if err := write(f); err != nil {
		return err
	}
	return f.Publish(path)
}

func writeInto(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// replaceable reports whether a file may take the place of what has such a mode.
// Whoever may do it to /dev/null takes it from all programs.
func replaceable(mode fs.FileMode) bool {
	return mode&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) == 0
}

// mayReplace refuses to put a file where something else than a file is.
func mayReplace(path string) error {
	if info, err := os.Lstat(path); err == nil && !replaceable(info.Mode()) {
		return fmt.Errorf("write %s: it is a device, a pipe or a socket, in whose place no file is put; name another file", path)
	}
	return nil
}
