package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A boot loader sees a file system as it is without its journal, and what a
// journal holds comes to its place in any order. So it may see the new entry of a
// folder before the file that this names, or the old entry after the file was
// freed: a menu that is empty. Neither may be on its way at the same time as the
// change of the name.

// PublishSettled is Publish for what a boot loader reads: whenever the power goes,
// it finds the old file or the whole new one. The new file is in its place before it
// gets its name, and the old one is there until that is in its place.
func (f *File) PublishSettled(path string) error {
	if f.done {
		return fmt.Errorf("publish %s: already published or discarded", path)
	}
	defer f.Discard()
	dir := filepath.Dir(path)
	if err := errors.Join(f.Sync(), settle(dir)); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	f.done = true
	if err := f.Close(); err != nil {
		return errors.Join(fmt.Errorf("close %s: %w", path, err), os.Remove(f.Name()))
	}
	old, err := f.exchange(path)
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := errors.Join(SyncDir(dir), settle(dir)); err != nil || !old {
		return err
	}
	return Remove(f.Name())
}

// settle is Settle where it does not matter what is left in the journal: nothing can
// be done about that.
func settle(dir string) error {
	_, err := Settle(dir)
	return err
}

// exchange gives the file its name. If that was another's, old says that this has
// the temporary name now.
func (f *File) exchange(path string) (old bool, err error) {
	err = unix.Renameat2(unix.AT_FDCWD, f.Name(), unix.AT_FDCWD, path, unix.RENAME_EXCHANGE)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return false, os.Rename(f.Name(), path) // there is none yet, or vfat before Linux 6.0
	}
	return false, &fs.PathError{Op: "publish", Path: path, Err: err}
}

// WriteSettled is WriteFile for what a boot loader reads.
func WriteSettled(path string, data []byte, perm fs.FileMode) error {
	return writeFile(path, data, perm, (*File).PublishSettled)
}
