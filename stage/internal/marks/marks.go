// Package marks keeps which objects of a stage are known to be damaged, and apart
// from the others those that were, since another took their place.
package marks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/stage/internal/record"
)

// Marks are those in a stage's directory. Its folders are not there before the first.
type Marks string

// In are the marks of the stage in a directory.
func In(stage string) Marks { return Marks(stage) }

func (m Marks) folder() string            { return filepath.Join(string(m), "damaged") }
func (m Marks) quarantine() string        { return filepath.Join(string(m), "quarantine") }
func (m Marks) path(object string) string { return filepath.Join(m.folder(), object+".json") }

// Has reports whether an object, by its sha256, is known to be damaged.
func (m Marks) Has(object string) bool {
	_, err := os.Lstat(m.path(object))
	return err == nil
}

// All are the objects that are known to be damaged, sorted.
func (m Marks) All() ([]string, error) {
	all, err := record.Names(m.folder(), deployment.IsHash)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return all, err
}

// Put notes an object as damaged, and what was found.
func (m Marks) Put(object string, found any) error {
	if err := errors.Join(durable.MkdirAll(m.folder(), 0o700), record.Write(m.path(object), found)); err != nil {
		return fmt.Errorf("note that %s is damaged: %w", deployment.Object{SHA256: object}.Path(), err)
	}
	return nil
}

// Remove forgets that an object was damaged.
func (m Marks) Remove(object string) error {
	if !m.Has(object) {
		return nil
	}
	return durable.Remove(m.path(object))
}

// SetAside puts an object that is damaged into quarantine, before another takes its
// place at path. It keeps its place until then, but on a file system without links.
func (m Marks) SetAside(object, path string) error {
	if !m.Has(object) {
		return nil
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(m.quarantine(), 0o700); err != nil {
		return err
	}
	aside := filepath.Join(m.quarantine(), fmt.Sprintf("%s-%d", object, info.Sys().(*syscall.Stat_t).Ino))
	err = os.Link(path, aside)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil // a cut run came so far
	case err != nil:
		err = os.Rename(path, aside)
	}
	if err != nil {
		return err
	}
	return errors.Join(durable.SyncDir(m.quarantine()), fault.Point("stage.damaged.aside"))
}

// An Aside is an object in quarantine.
type Aside struct {
	SHA256, Path string
	Size         int64
}

// Quarantine are the objects that lie there. What is not one is left alone.
func (m Marks) Quarantine() (all []Aside, err error) {
	entries, err := os.ReadDir(m.quarantine())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		hash, _, _ := strings.Cut(e.Name(), "-")
		if info, err := e.Info(); err == nil && deployment.IsHash(hash) {
			all = append(all, Aside{hash, filepath.Join(m.quarantine(), e.Name()), info.Size()})
		}
	}
	return all, err
}
