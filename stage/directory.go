package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/owned"
	"github.com/gitboot/gitboot/stage/lock"
)

// folders are those that each stage has, parents first.
func folders() []string {
	return []string{"objects", "objects/sha256", "layers", "kernels", "deployments", "boot", "tmp"}
}

// beside are folders that a stage may have in which others write, too, than who holds its
// lock.
func beside() []string {
	return []string{"trees", "contents", SignedDir, KeysDir, "damaged", "quarantine", BootTestsDir, DocumentsDir, DocumentsDir + "/sha256", "secrets", "downloads", "runs", "workshop", deployment.BootsDir}
}

// own are the names that must lie in the stage itself, not behind a link: what
// boots, what is cleaned up, and what locks.
func own() []string { return append(folders(), "lock", "state.json", "workshop") }

// known are the names that a stage's directory may hold.
func known() []string {
	return slices.Concat(own(), beside(), []string{manifestsFile, WantsFile, VerifiedFile, "repo", "repo.broken", "builds", "engine", "lost+found"})
}

// used reports whether the directory is a stage, whatever it lacks: the lock is
// made last, and the state by the first run.
func used(l Layout) bool {
	return slices.ContainsFunc([]string{l.lockFile(), l.StateFile()}, func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	})
}

// lacking returns the first of a stage's folders, or its lock, that is not
// there, "" if all are.
func lacking(l Layout) (string, error) {
	for _, name := range append(folders(), "lock") {
		_, err := os.Stat(l.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", nil
}

// furnish makes the folders and the lock, as far as they are not there.
func furnish(l Layout) error {
	for _, folder := range append([]string{""}, folders()...) {
		if err := durable.MkdirAll(l.path(folder), 0o700); err != nil {
			return err
		}
	}
	if err := makeWorkshop(l); err != nil {
		return err
	}
	return makeLock(l)
}

// makeLock makes what a lock needs.
func makeLock(l Layout) error {
	if err := durable.MkdirAll(gate(l), 0o700); err != nil {
		return err
	}
	if _, err := os.Lstat(l.lockFile()); err == nil {
		return nil
	}
	return lock.Create(l.lockFile())
}

func refuseForeign(l Layout) error {
	entries, err := os.ReadDir(l.Dir())
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

// refuseOthers accepts a stage of which nothing can have been made or replaced
// by another user.
func refuseOthers(l Layout) error {
	if err := owned.Check(l.Dir()); err != nil {
		return err
	}
	entries, err := os.ReadDir(l.Dir())
	if err != nil {
		return err
	}
	for _, e := range entries {
		check := owned.Check
		if slices.Contains(own(), e.Name()) {
			check = owned.Entry
		}
		if err := check(l.path(e.Name())); err != nil {
			return err
		}
	}
	for _, path := range []string{l.Objects(), l.Workshop().lockFile()} {
		if err := owned.Entry(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// makeWorkshop needs no lock, as it can be made by several at once.
func makeWorkshop(l Layout) error {
	if err := durable.MkdirAll(l.Workshop().Dir(), 0o700); err != nil {
		return err
	}
	return lock.Create(l.Workshop().lockFile())
}
