// Package durable publishes files so that a power cut leaves either the old
// file or the whole new one: a temporary file in the same folder, write,
// fsync, rename, fsync of the folder.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// TempPrefix begins the name of every unpublished file, so that leftovers of
// a cut are recognised.
const TempPrefix = ".gitboot-tmp-"

// A File is being written and not yet visible under its name.
type File struct {
	*os.File
	done bool
}

// Create opens a temporary file in dir with the given permissions.
func Create(dir string, perm fs.FileMode) (*File, error) {
	f, err := os.CreateTemp(dir, TempPrefix)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(perm); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return &File{File: f}, nil
}

// Publish makes the file visible as path, replacing what was there. path
// must be on the same file system. On an error the temporary file is gone and
// path is as it was.
func (f *File) Publish(path string) error {
	if f.done {
		return fmt.Errorf("publish %s: already published or discarded", path)
	}
	if err := f.Sync(); err != nil {
		f.Discard()
		return fmt.Errorf("sync %s: %w", path, err)
	}
	f.done = true
	if err := f.Close(); err != nil {
		return errors.Join(fmt.Errorf("close %s: %w", path, err), os.Remove(f.Name()))
	}
	err := mayReplace(path)
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return SyncDir(filepath.Dir(path))
}

// Discard removes the temporary file. After Publish it does nothing, so that
// it may be deferred.
func (f *File) Discard() {
	if f.done {
		return
	}
	f.done = true
	f.Close()
	os.Remove(f.Name())
}

// WriteFile publishes data as path.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return writeFile(path, data, perm, (*File).Publish)
}

func writeFile(path string, data []byte, perm fs.FileMode, publish func(*File, string) error) error {
	f, err := Create(filepath.Dir(path), perm)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return publish(f, path)
}

// SyncDir makes the entries of dir durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync folder %s: %w", dir, err), d.Close())
	}
	return d.Close()
}

// MkdirAll creates path like os.MkdirAll and makes the new entries durable.
func MkdirAll(path string, perm fs.FileMode) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(parent)
}

// Remove deletes path durably. A path that is not there is no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return SyncDir(filepath.Dir(path))
}
