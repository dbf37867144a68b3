package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/place"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// Preview opens a stage for looking at it. Where there is none yet, none is
// made: what the look needs, such as the clone of the config repo, lies in a
// temporary folder until done is called.
func Preview(cfg Config) (r *Reconciler, done func() error, err error) {
	cfg.Source.Look = true
	st, err := stage.Open(cfg.Stage)
	switch {
	case err == nil:
		return on(st, cfg, st.Dir()), func() error { return nil }, nil
	case !errors.Is(err, stage.ErrNone):
		return nil, nil, err
	}
	if err := creatable(cfg.Stage); err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "gitboot-preview-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a folder to look from: %w", err)
	}
	done = func() error { return os.RemoveAll(dir) }
	if st, err = stage.Create(filepath.Join(dir, "stage")); err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return on(st, cfg, cfg.Stage), done, nil
}

// Machines returns the names of the machines that the config repo has in the
// revision that was applied last to the stage in dir.
func Machines(ctx context.Context, dir, subdir string) ([]string, error) {
	state, err := LoadState(dir)
	if err != nil {
		return nil, err
	}
	clone := stage.Layout(dir).Repo()
	src, err := source.Open(ctx, source.Options{URL: clone, Dir: clone})
	if err != nil {
		return nil, err
	}
	files, err := src.Files(state.Revision, subdir)
	if err != nil {
		return nil, err
	}
	fleet, err := spec.Load(ctx, files)
	if err != nil {
		return nil, err
	}
	return fleet.Machines(), nil
}

// locate finds the file system that GRUB and process 1 will look for. That of
// a stage which is not there yet is its parent's.
func (r *Reconciler) locate(ctx context.Context) (boot.Filesystem, error) {
	if r.Location != nil {
		return *r.Location, nil
	}
	if _, err := os.Stat(r.place); !errors.Is(err, fs.ErrNotExist) {
		return place.Find(ctx, r.place)
	}
	found, err := place.Find(ctx, filepath.Dir(filepath.Clean(r.place)))
	found.Path = path.Join(found.Path, filepath.Base(r.place))
	return found, err
}

// Existing opens a stage that is there already, for work that needs no config
// repo.
func Existing(cfg Config) (*Reconciler, error) {
	if _, err := stage.Open(cfg.Stage); err != nil {
		return nil, err
	}
	return New(cfg)
}
