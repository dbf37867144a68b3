package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Failing adds what to do to an error of a disk that fails, met while something was
// read or written below dir: the kernel has reported it, or has made the file system
// read-only to keep what is there. An error of a file that is elsewhere is told of
// its folder. Other errors are returned as they are.
func Failing(dir string, err error) error {
	var known *failingError
	at := dir
	if file, met := Met(err); met && filepath.IsAbs(file) && !Below(dir, file) {
		at = filepath.Dir(file)
	}
	switch {
	case errors.As(err, &known):
		return err
	case is(err, syscall.EIO, syscall.EUCLEAN):
		return &failingError{err, "the disk of " + at + " fails"}
	case errors.Is(err, syscall.EROFS):
		return &failingError{err, "the file system of " + at + " cannot be written: it is mounted read-only, or became so because its disk fails"}
	}
	return err
}

// OfMachine reports whether an error is the machine's, which cannot give now what it
// has: its disk fails, or something is Scarce. What was to be read may be right.
func OfMachine(err error) bool {
	return Scarce(err) || is(err, syscall.EIO, syscall.EUCLEAN, syscall.ESTALE)
}

// Scarce reports whether the machine had no memory or descriptors left: what it could
// not read is no worse for it.
func Scarce(err error) bool { return is(err, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE) }

func is(err error, some ...syscall.Errno) bool {
	return slices.ContainsFunc(some, func(no syscall.Errno) bool { return errors.Is(err, no) })
}

// Met returns the file with which an error was met, if it was with one.
func Met(err error) (file string, met bool) {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Path, true
	case errors.As(err, &link):
		return link.New, true
	}
	return "", false
}

// Below reports whether a file is a folder or lies somewhere in it.
func Below(dir, file string) bool { return file == dir || strings.HasPrefix(file, dir+"/") }

// A failingError is an error of a disk that fails.
type failingError struct {
	err  error
	what string
}

func (e *failingError) Error() string {
	return fmt.Sprintf("%v; %s: look at the kernel's log, check the file system with fsck while it is not mounted, and replace a disk that goes on failing", e.err, e.what)
}

func (e *failingError) Unwrap() error { return e.err }
