package durable

import (
	"errors"
	"fmt"
	"syscall"
)

// Failing adds what to do to an error of a disk that fails, met while something was
// read or written below dir: the kernel has reported it, or has made the file system
// read-only to keep what is there. Other errors are returned as they are.
func Failing(dir string, err error) error {
	var known *failingError
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, syscall.EIO):
		return &failingError{err, "the disk of " + dir + " fails"}
	case errors.Is(err, syscall.EROFS):
		return &failingError{err, "the file system of " + dir + " cannot be written: it is mounted read-only, or became so because its disk fails"}
	}
	return err
}

// A failingError is an error of a disk that fails.
type failingError struct {
	err  error
	what string
}

func (e *failingError) Error() string {
	return fmt.Sprintf("%v; %s: look at the kernel's log, check the file system with fsck while it is not mounted, and replace a disk that goes on failing", e.err, e.what)
}

func (e *failingError) Unwrap() error { return e.err }
