package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/owned"
	"github.com/gitboot/gitboot/stage/lock"
)

// A Layout is a stage's directory, and knows where everything lies in it,
// whether or not it is there.
type Layout string

// Dir returns the directory, absolute.
func (l Layout) Dir() string { return string(l) }

func (l Layout) path(parts ...string) string {
	return filepath.Join(append([]string{string(l)}, parts...)...)
}

// ObjectPath returns where an object lies.
func (l Layout) ObjectPath(o deployment.Object) string { return l.path(filepath.FromSlash(o.Path())) }

// StateFile holds what is known of images and generations.
func (l Layout) StateFile() string { return l.path("state.json") }

// Repo is the clone of the config repo.
func (l Layout) Repo() string { return l.path("repo") }

// Engine holds the images and caches of the engines that build.
func (l Layout) Engine() string { return l.path("engine") }

// Workshop is where images are made.
func (l Layout) Workshop() Workshop { return Workshop(l.path("workshop")) }

// Runs holds the records of the last runs.
func (l Layout) Runs() string { return l.path("runs") }

// Builds holds the logs of builds, a folder for each image.
func (l Layout) Builds() string { return l.path("builds") }

// Downloads holds archives that were downloaded.
func (l Layout) Downloads() string { return l.path("downloads") }

// Secrets holds what hooks have made once and keep, such as a machine's keys.
func (l Layout) Secrets() string { return l.path("secrets") }

// SignedDir is the name of the folder with signatures of what boots that were made
// elsewhere (package presigned).
const SignedDir = "signed"

// KeysDir is the name of the folder with the keys that sign what boots, where those are
// not elsewhere.
const KeysDir = "keys"

// VerifiedFile is the name of what is known of the last time that a stage was
// verified by itself.
const VerifiedFile = "verified.json"

// WantsFile is the name of what is remembered of what the config repo wants.
const WantsFile = "wants"

// manifestsFile is the name of what is remembered of manifests (package manifests).
const manifestsFile = "manifests"

// DocumentsDir is the name of the folder with what registries say of the images of
// deployments (package documents).
const DocumentsDir = "documents"

// BootTestsDir is the name of the folder with the logs of boot tests.
const BootTestsDir = "boottests"

// marks holds a file for each object that is known to be damaged.
func marks(l Layout) string { return l.path("damaged") }

// quarantine holds damaged objects in whose place others have come.
func quarantine(l Layout) string { return l.path("quarantine") }

// Temp holds what is of no use after a run.
func (l Layout) Temp() string { return l.path("tmp") }

func (l Layout) objects() string             { return l.path("objects", "sha256") }
func (l Layout) layers() string              { return l.path("layers") }
func (l Layout) kernels() string             { return l.path("kernels") }
func (l Layout) deployments() string         { return l.path("deployments") }
func (l Layout) boot() string                { return l.path("boot") }
func (l Layout) lockFile() string            { return l.path("lock") }
func (l Layout) deployment(id string) string { return l.path("deployments", id+".json") }

// folders are those that each stage has, parents first.
func folders() []string {
	return []string{"objects", "objects/sha256", "layers", "kernels", "deployments", "boot", "tmp"}
}

// own are the names that must lie in the stage itself, not behind a link: what
// boots, what is cleaned up, and what locks.
func own() []string { return append(folders(), "lock", "state.json", "workshop") }

// known are the names that a stage's directory may hold.
func known() []string {
	return append(own(), "trees", "contents", SignedDir, KeysDir, "damaged", "quarantine", manifestsFile, WantsFile, VerifiedFile, BootTestsDir, DocumentsDir, "repo", "repo.broken", "builds", "engine", "secrets", "downloads", "runs", deployment.BootsDir, "lost+found")
}

// used reports whether the directory is a stage, whatever it lacks: the lock is
// made last, and the state by the first run.
func (l Layout) used() bool {
	return slices.ContainsFunc([]string{l.lockFile(), l.StateFile()}, func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	})
}

// lacking returns the first of a stage's folders, or its lock, that is not
// there, "" if all are.
func (l Layout) lacking() (string, error) {
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

// make makes the folders and the lock, as far as they are not there.
func (l Layout) make() error {
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

func (l Layout) refuseForeign() error {
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
func (l Layout) refuseOthers() error {
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
	for _, path := range []string{l.objects(), l.Workshop().lockFile()} {
		if err := owned.Entry(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// A Workshop is the folder of what making images leaves, and what takes a lock of
// its own. It knows where everything lies in it, whether or not it is there.
type Workshop string

// Dir returns the folder.
func (w Workshop) Dir() string { return string(w) }

// StateFile holds what is known of images that are made here.
func (w Workshop) StateFile() string { return filepath.Join(string(w), "state.json") }

// Temp holds what is of no use after a run.
func (w Workshop) Temp() string { return filepath.Join(string(w), "tmp") }

// Downloads holds archives that images are built on.
func (w Workshop) Downloads() string { return filepath.Join(string(w), "downloads") }

func (w Workshop) lockFile() string { return filepath.Join(string(w), "lock") }

// Signing holds what this machine signs for another: what that boots, staged as there, and
// a record.
func (w Workshop) Signing(machine string) string { return filepath.Join(w.signing(), machine) }

func (w Workshop) signing() string { return filepath.Join(string(w), "signing") }

// SigningStage is the stage of the other machine's.
func (w Workshop) SigningStage(machine string) Layout {
	return Layout(filepath.Join(w.Signing(machine), signingStage))
}

const signingStage = "stage"

// SignedFor are the machines for which something is signed: the stage alone is what was
// kept of one that names nobody any more.
func (w Workshop) SignedFor() (machines []string, err error) {
	all, err := os.ReadDir(w.signing())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range all {
		there, failed := os.ReadDir(w.Signing(e.Name()))
		err = errors.Join(err, failed)
		if slices.ContainsFunc(there, func(e fs.DirEntry) bool { return e.Name() != signingStage }) {
			machines = append(machines, e.Name())
		}
	}
	return machines, err
}
