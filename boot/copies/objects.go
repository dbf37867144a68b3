package copies

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
)

// An object is one that a menu names: its path below the stage, and what is
// there of its copy.
type object struct {
	path string
	size int64
	// modified is of the object, whose time its copy has.
	modified time.Time
	// missing and damaged are of the copy. One of another time was written by
	// something else, or by a gitboot that gave it none: it was read.
	missing, damaged, otherTime bool
}

func (o object) name() string { return path.Base(o.path) }

// objects returns what a menu names, each once. What the stage itself lacks is
// left out: nothing can be copied of it, and it is not the menu's fault.
func (f Folder) objects(m boot.Menu) (out []object, err error) {
	seen := map[string]bool{}
	for _, p := range named(m) {
		if seen[p] {
			continue
		}
		seen[p] = true
		o := object{path: p}
		if !deployment.IsHash(o.name()) {
			return nil, fmt.Errorf("%q is not an object of the stage", p)
		}
		info, err := os.Stat(filepath.Join(f.Stage, filepath.FromSlash(p)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		o.size = info.Size()
		o.modified = info.ModTime()
		if err := f.look(&o); err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// keeps reports whether have is what a file system keeps of a time: some keep seconds
// alone, and vfat even ones.
func keeps(have, of time.Time) bool {
	return have.Equal(of) || have.Nanosecond() == 0 && of.Sub(have).Abs() < 2*time.Second
}

// look finds out what is there of an object's copy.
func (f Folder) look(o *object) error {
	have, err := os.Stat(f.path(o.name()))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		o.missing = true
		return nil
	case err != nil:
		return err
	case have.Size() != o.size:
		o.damaged = true
		return nil
	}
	if o.otherTime = !keeps(have.ModTime(), o.modified); o.otherTime {
		sum, err := sumOf(f.path(o.name()))
		o.damaged = sum != o.name()
		return err
	}
	return nil
}

func sumOf(file string) (string, error) {
	in, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer in.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, in)
	return hex.EncodeToString(sum.Sum(nil)), err
}

func named(m boot.Menu) (paths []string) {
	for _, e := range m.All() {
		paths = append(paths, e.Kernel, e.Initrd)
	}
	return paths
}

func (f Folder) path(name string) string { return filepath.Join(f.Dir, name) }

// surplus returns the names of copies that a menu does not name, and of what a
// cut left half-done.
func (f Folder) surplus(m boot.Menu) ([]string, error) {
	needed := map[string]bool{}
	for _, p := range named(m) {
		needed[path.Base(p)] = true
	}
	return f.ours(func(name string) bool { return !needed[name] })
}

// halves returns the names of what a cut left half-done.
func (f Folder) halves() ([]string, error) { return f.ours(half) }

func half(name string) bool { return strings.HasPrefix(name, durable.TempPrefix) }

func (f Folder) ours(which func(string) bool) (names []string, err error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if name := e.Name(); !e.IsDir() && (deployment.IsHash(name) || half(name)) && which(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (f Folder) remove(names []string, err error) error {
	if err != nil || len(names) == 0 {
		return err
	}
	for _, name := range names {
		if err := os.Remove(f.path(name)); err != nil {
			return err
		}
	}
	return durable.SyncDir(f.Dir)
}
