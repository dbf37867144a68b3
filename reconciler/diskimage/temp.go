package diskimage

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gitboot/gitboot/internal/flock"
)

// tempName is how folders of those who make disks are called.
const tempName = "gitboot-disk-"

// A Temp is a folder for what is needed while a disk is made. It is locked, so that
// what a cut has left is known from what somebody else uses.
type Temp struct {
	Path string
	lock *os.File
}

// NewTemp makes a folder in another, and removes those that nobody uses any more.
func NewTemp(parent string) (*Temp, error) {
	if err := sweep(parent); err != nil {
		return nil, err
	}
	for {
		path, err := os.MkdirTemp(parent, tempName)
		if err != nil {
			return nil, explained(parent, tempElsewhere, err)
		}
		if t := locked(path); t != nil {
			return t, nil // else somebody has swept it away meanwhile
		}
	}
}

// locked is a folder of this user's that nobody has, nil if it is none.
func locked(path string) *Temp {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil
	}
	t := &Temp{path, f}
	if flock.Try(f) != nil || !t.there() {
		f.Close()
		return nil
	}
	return t
}

// there reports whether the folder is this process's user's, and has its name yet.
func (t *Temp) there() bool {
	had, err1 := t.lock.Stat()
	is, err2 := os.Lstat(t.Path)
	if err1 != nil || err2 != nil || !os.SameFile(had, is) {
		return false
	}
	st, ok := had.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// Close removes it.
func (t *Temp) Close() error { return errors.Join(os.RemoveAll(t.Path), flock.Release(t.lock)) }

// sweep removes what cuts have left. What belongs to somebody else stays.
func sweep(parent string) error {
	left, err := filepath.Glob(filepath.Join(parent, tempName+"*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if t := locked(path); t != nil {
			err = errors.Join(err, t.Close())
		}
	}
	return err
}
