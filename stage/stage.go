package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/owned"
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

	dir string

	mu      sync.Mutex
	flights map[string]chan struct{} // layers being added, by diff id
}

// folders are the stage's own, below its directory.
func folders() []string {
	return []string{"objects", "objects/sha256", "layers", "kernels", "deployments", "boot", "tmp"}
}

// known are the names that a stage's directory may hold.
func known() []string {
	return []string{"objects", "layers", "kernels", "deployments", "boot", "tmp", "lock", "repo", "builds", "engine", "secrets", "downloads", "state.json", "lost+found"}
}

// Create makes dir a stage, or opens it if it is one. It refuses a directory
// that holds anything else.
func Create(dir string) (*Stage, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("create stage: %w", err)
	}
	if s, err := Open(dir); err == nil {
		return s, nil
	}
	if err := errors.Join(owned.Check(dir), refuseForeign(dir)); err != nil {
		return nil, fmt.Errorf("create stage %s: %w", dir, err)
	}
	for _, folder := range append([]string{""}, folders()...) {
		if err := durable.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			return nil, fmt.Errorf("create stage %s: %w", dir, err)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create stage %s: %w", dir, err)
	}
	if err := durable.WriteFile(filepath.Join(dir, "lock"), nil, 0o600); err != nil {
		return nil, fmt.Errorf("create stage %s: %w", dir, err)
	}
	return Open(dir)
}

func refuseForeign(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !slices.Contains(known(), e.Name()) {
			return fmt.Errorf("the directory holds %q, which is not gitboot's; name the right one, or an empty or a new one, with --stage", e.Name())
		}
	}
	return nil
}

// Open opens a stage.
func Open(dir string) (*Stage, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open stage: %w", err)
	}
	for _, name := range append(folders(), "lock") {
		_, err := os.Stat(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, absent(dir, name)
		}
		if err != nil {
			return nil, fmt.Errorf("open stage %s: %w", dir, err)
		}
	}
	if err := refuseOthers(dir); err != nil {
		return nil, fmt.Errorf("open stage %s: %w", dir, err)
	}
	return &Stage{dir: dir, flights: make(map[string]chan struct{})}, nil
}

// refuseOthers accepts a stage of which nothing can have been made or replaced
// by another user. Links are for the caches alone: what boots, and what is
// cleaned up, lies in the stage itself.
func refuseOthers(dir string) error {
	if err := owned.Check(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		check := owned.Check
		if slices.Contains(folders(), e.Name()) || e.Name() == "lock" || e.Name() == "state.json" {
			check = owned.Entry
		}
		if err := check(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return owned.Entry(filepath.Join(dir, "objects", "sha256"))
}

// absent says what is there instead of a stage.
func absent(dir, lacking string) error {
	if err := refuseForeign(dir); err != nil {
		return fmt.Errorf("open %s: %w (it has no %s, and %w)", dir, ErrNotStage, lacking, err)
	}
	return fmt.Errorf("open %s: %w (it has no %s); `gitboot reconcile --once` makes one, or name another folder with --stage", dir, ErrNone, lacking)
}

// Dir returns the stage's absolute path.
func (s *Stage) Dir() string { return s.dir }

func (s *Stage) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

func (s *Stage) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// Clean removes what a cut run left unfinished. The caller holds the lock and
// has nothing under way.
func (s *Stage) Clean() error {
	root, err := os.OpenRoot(s.dir) // nothing outside of the stage is removed, whatever links there are
	if err != nil {
		return fmt.Errorf("clean stage %s: %w", s.dir, err)
	}
	defer root.Close()
	err = removeEntries(root, "tmp", "")
	for _, folder := range append([]string{"."}, folders()...) {
		err = errors.Join(err, removeEntries(root, folder, durable.TempPrefix))
	}
	if err != nil {
		return fmt.Errorf("clean stage %s: %w", s.dir, err)
	}
	return nil
}

// removeEntries removes what is in a folder and has a name that begins so.
func removeEntries(root *os.Root, folder, prefix string) error {
	entries, err := fs.ReadDir(root.FS(), folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			err = errors.Join(err, root.RemoveAll(path.Join(folder, e.Name())))
		}
	}
	return err
}
