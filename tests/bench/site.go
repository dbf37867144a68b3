package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gitboot/gitboot/tests/lab"
)

// A site is what the rows have in common: the program, a registry, a folder on
// one file system for both sides of every comparison. What only some rows need
// is made when the first of them asks for it.
type site struct {
	dir      string // removed at the end
	lock     *os.File
	gitboot  string // beside it, gitboot-init
	rootfs   string // Debian's, with a kernel for virtual machines
	registry *lab.Registry

	undo   []func() error // last first
	worlds int
	pushed map[string]string // references by what they hold
	// histories are worlds by how many generations they have.
	histories map[int]*world
	generic   *genericKernel
	builder   *engine
	update    *update
}

// newSite takes the folder "bench" in the cache. What a killed run left there
// is removed.
func newSite(ctx context.Context) (*site, error) {
	cache, err := lab.CacheDir()
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(cache, "bench.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another benchmark is running (%s is locked); wait for it to end", lock.Name()), lock.Close())
	}
	s := &site{dir: filepath.Join(cache, "bench"), lock: lock, pushed: map[string]string{}, histories: map[int]*world{}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *site) open(ctx context.Context) (err error) {
	if err := os.RemoveAll(s.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	fmt.Println("building gitboot, and a root file system if the cache has none")
	if s.gitboot, err = lab.Build(ctx, filepath.Join(s.dir, "bin")); err != nil {
		return err
	}
	if s.rootfs, err = lab.RootFS(ctx, lab.Bookworm); err != nil {
		return err
	}
	if s.registry, err = lab.NewRegistry(filepath.Join(s.dir, "registry")); err != nil {
		return err
	}
	s.undo = append(s.undo, s.registry.Close)
	return nil
}

// close undoes what was done, and removes everything but the cache. What could
// not be unmounted is not removed: it would be emptied.
func (s *site) close() error {
	var errs []error
	for i := len(s.undo) - 1; i >= 0; i-- {
		errs = append(errs, s.undo[i]())
	}
	err := errors.Join(errs...)
	if err == nil {
		err = os.RemoveAll(s.dir)
	}
	return errors.Join(err, s.lock.Close())
}

// image pushes the root file system in one layer of a compression, once, and
// returns the reference.
func (s *site) image(ctx context.Context, compression string) (string, error) {
	return s.once("os:"+compression, func() (string, error) {
		ref, _, err := s.registry.Push(ctx, "os:"+compression, nil, lab.Layer{Path: s.rootfs, Compression: compression})
		return ref, err
	})
}

// once remembers the reference that push returns.
func (s *site) once(name string, push func() (string, error)) (string, error) {
	if ref, ok := s.pushed[name]; ok {
		return ref, nil
	}
	ref, err := push()
	if err == nil {
		s.pushed[name] = ref
	}
	return ref, err
}

// path returns a path in the site's folder.
func (s *site) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// fresh makes a folder that is empty.
func fresh(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o755)
}

// save writes what r holds to a file.
func save(path string, r io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
