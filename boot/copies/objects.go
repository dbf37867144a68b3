package copies

import (
	"context"
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

// An object is one that a menu names, and what is there of its copy; or a program that
// is made of some.
type object struct {
	name string
	// what is what is done to have it there.
	what string
	size int64
	// modified is of the object, whose time its copy has.
	modified time.Time
	// missing and damaged are of the copy. One of another time was written by
	// something else, or by a gitboot that gave it none: it was read.
	missing, damaged, otherTime bool
	// whole reports whether a file of that size is it, and make makes one.
	whole func(file string) (bool, error)
	make  func(ctx context.Context) (*durable.File, error)
}

// objects returns what a menu names, each once. What the stage itself lacks is
// left out: nothing can be copied of it, and it is not the menu's fault.
func (f Folder) objects(m boot.Menu) (out []object, err error) {
	seen := map[string]bool{}
	for _, e := range m.All() {
		of, err := f.of(m.Stage, e)
		if err != nil {
			return nil, err
		}
		for _, o := range of {
			if seen[o.name] {
				continue
			}
			seen[o.name] = true
			if err := f.look(&o); err != nil {
				return nil, err
			}
			out = append(out, o)
		}
	}
	return out, nil
}

// of returns what an entry names.
func (f Folder) of(stage boot.Filesystem, e boot.Entry) (out []object, err error) {
	if f.Unify != nil {
		return unified(f, stage, e)
	}
	for _, p := range []string{e.Kernel, e.Initrd} {
		o := object{name: path.Base(p), what: fmt.Sprintf("copy object %.12s", path.Base(p))}
		if !deployment.IsHash(o.name) {
			return nil, fmt.Errorf("%q is not an object of the stage", p)
		}
		from := filepath.Join(f.Stage, filepath.FromSlash(p))
		info, err := os.Stat(from)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		o.size, o.modified = info.Size(), info.ModTime()
		o.whole = func(file string) (bool, error) {
			sum, err := sumOf(file)
			return sum == o.name, err
		}
		o.make = func(ctx context.Context) (*durable.File, error) { return f.copyOf(ctx, o.name, from) }
		out = append(out, o)
	}
	return out, nil
}

// names are those of the files that a menu needs.
func (f Folder) names(m boot.Menu) (map[string]bool, error) {
	all := map[string]bool{}
	for _, e := range m.All() {
		names, err := f.namesOf(m.Stage, e)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			all[name] = true
		}
	}
	return all, nil
}

func (f Folder) namesOf(stage boot.Filesystem, e boot.Entry) ([]string, error) {
	if f.Unify == nil {
		return []string{path.Base(e.Kernel), path.Base(e.Initrd)}, nil
	}
	image, err := f.Unify(stage, e)
	return []string{image.Name()}, err
}

// keeps reports whether have is what a file system keeps of a time: some keep seconds
// alone, and vfat even ones.
func keeps(have, of time.Time) bool {
	return have.Equal(of) || have.Nanosecond() == 0 && of.Sub(have).Abs() < 2*time.Second
}

// look finds out what is there of an object's copy.
func (f Folder) look(o *object) error {
	have, err := os.Stat(f.path(o.name))
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
		whole, err := o.whole(f.path(o.name))
		o.damaged = !whole
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

func (f Folder) path(name string) string { return filepath.Join(f.Dir, name) }

// surplus returns the names of copies that a menu does not name, and of what a
// cut left half-done.
func (f Folder) surplus(m boot.Menu) ([]string, error) {
	needed, err := f.names(m)
	if err != nil {
		return nil, err
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
