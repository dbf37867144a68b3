package stage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/deployment"
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

// Objects is the folder in which all objects lie.
func (l Layout) Objects() string { return l.path("objects", "sha256") }

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

// Temp holds what is of no use after a run.
func (l Layout) Temp() string { return l.path("tmp") }

func (l Layout) layers() string              { return l.path("layers") }
func (l Layout) kernels() string             { return l.path("kernels") }
func (l Layout) deployments() string         { return l.path("deployments") }
func (l Layout) boot() string                { return l.path("boot") }
func (l Layout) lockFile() string            { return l.path("lock") }
func (l Layout) deployment(id string) string { return l.path("deployments", id+".json") }

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
