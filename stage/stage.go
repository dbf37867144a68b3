package stage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/owned"
	"github.com/gitboot/gitboot/stage/internal/manifests"
)

// Open returns ErrNone for a directory that Create could make a stage, and
// ErrNotStage for one that holds other things.
var (
	ErrNone     = errors.New("there is no stage yet")
	ErrNotStage = errors.New("this is not a stage")
)

// A Stage is an open stage. Its methods may be called from several goroutines
// at once; those that write want the Lock to be held.
type Stage struct {
	// Log takes what a user may want to know; nil is silent. It is set
	// before the first use.
	Log *slog.Logger

	// Reserve is how much of the file system's room layers leave free, in
	// bytes; 0 means durable.Room's default.
	Reserve int64
	// Entries bounds how many names a layer may have; 0 means tarfs's default.
	Entries int

	Layout

	manifests *manifests.Manifests

	mu      sync.Mutex // of records that are changed
	flights flights
}

// Create makes dir a stage, or opens it if it is one. It refuses a directory
// that holds anything else.
func Create(dir string) (*Stage, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("create stage: %w", err)
	}
	l := Layout(dir)
	if used(l) {
		return Open(dir)
	}
	if err := errors.Join(owned.Check(dir), refuseForeign(l)); err != nil {
		return nil, fmt.Errorf("create stage %s: %w", dir, err)
	}
	if err := furnish(l); err != nil {
		return nil, fmt.Errorf("create stage %s: %w", dir, Full(&Stage{Layout: l}, err))
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create stage %s: %w", dir, err)
	}
	return Open(dir)
}

// Open opens a stage. One of an older gitboot, or from which something was lost,
// gets the folders that it lacks.
func Open(dir string) (*Stage, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open stage: %w", err)
	}
	l := Layout(dir)
	absent, err := lacking(l)
	if err != nil {
		return nil, fmt.Errorf("open stage %s: %w", dir, err)
	}
	if absent != "" && !used(l) {
		return nil, notThere(l, absent)
	}
	if err := refuseOthers(l); err != nil {
		return nil, fmt.Errorf("open stage %s: %w", dir, err)
	}
	s := &Stage{Layout: l, manifests: manifests.In(l.deployments(), l.path(manifestsFile))}
	if absent != "" {
		if err := adopt(s); err != nil {
			return nil, fmt.Errorf("open stage %s, which has no %s: %w", dir, absent, err)
		}
	}
	return s, nil
}

// adopt makes what a stage lacks, under its lock: none but the one who holds it
// writes to a stage. Only what locking itself needs is made before.
func adopt(s *Stage) (err error) {
	if err := makeLock(s.Layout); err != nil {
		return err
	}
	lock, err := s.Lock(context.Background(), false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	return furnish(s.Layout)
}

// notThere says what is there instead of a stage.
func notThere(l Layout, lacking string) error {
	if err := refuseForeign(l); err != nil {
		return fmt.Errorf("open %s: %w (it has no %s, and %w)", l, ErrNotStage, lacking, err)
	}
	return fmt.Errorf("open %s: %w (it has no %s); `gitboot reconcile --once` makes one, or name another folder with --stage", l, ErrNone, lacking)
}

func (s *Stage) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// unfinished is how old a file is without having got its name that nobody writes any
// more.
const unfinished = 24 * time.Hour

// Clean removes what a cut run left unfinished, and has room for what is to come in
// the folders that the boot loader reads. The caller holds the lock and has nothing
// under way; where others write without that lock, only what is old is removed.
func (s *Stage) Clean() error {
	root, err := os.OpenRoot(s.Dir()) // nothing outside of the stage is removed, whatever links there are
	if err != nil {
		return fmt.Errorf("clean stage %s: %w", s.Dir(), err)
	}
	defer root.Close()
	err = removeEntries(root, "tmp", "", 0)
	for _, folder := range append([]string{"."}, folders()...) {
		err = errors.Join(err, removeEntries(root, folder, durable.TempPrefix, 0))
	}
	for _, folder := range beside() {
		lerr := removeEntries(root, folder, durable.TempPrefix, unfinished)
		if !errors.Is(lerr, fs.ErrNotExist) && !errors.Is(lerr, syscall.ENOTDIR) { // who needs it finds out
			err = errors.Join(err, lerr)
		}
	}
	if err != nil {
		return fmt.Errorf("clean stage %s: %w", s.Dir(), err)
	}
	for _, dir := range []string{s.Dir(), s.Objects()} {
		if err := durable.Roomy(dir); err != nil { // where it has no room, what boots has it still
			s.log().Debug("a folder will grow while the boot loader may read it", "folder", dir, "error", err)
		}
	}
	return nil
}

// removeEntries removes what is in a folder, has a name that begins so, and is as old as
// that, or from so far ahead: a clock may have been put right.
func removeEntries(root *os.Root, folder, prefix string, age time.Duration) error {
	entries, err := fs.ReadDir(root.FS(), folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if info, ierr := e.Info(); ierr != nil || time.Since(info.ModTime()).Abs() < age {
			continue // it is gone, or may get its name yet
		}
		err = errors.Join(err, root.RemoveAll(path.Join(folder, e.Name())))
	}
	return err
}

// Settle makes the boot loader see what was written, which replays no journal.
func (s *Stage) Settle(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	left, err := durable.Settle(s.boot())
	if err != nil {
		return s.full(fmt.Errorf("settle stage %s: %w", s.Dir(), err), 0)
	}
	if left != nil {
		s.log().Debug("stage is synced, its journal is left as it is", "stage", s.Dir(), "error", left)
	}
	return nil
}
