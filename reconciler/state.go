package reconciler

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/rootfs/packages"
	"github.com/gitboot/gitboot/stage"
)

// StateVersion is the format of state.json that this package writes.
const StateVersion = 1

// State is the one status document, state.json on the stage. It is written by
// the reconciler alone, and only when its content changes.
type State struct {
	Version int    `json:"version"`
	Machine string `json:"machine,omitempty"`
	// Revision is the last one that was applied; empty before the first.
	Revision string                 `json:"revision,omitempty"`
	Images   map[string]*ImageState `json:"images,omitempty"`
	// Builds are the images that were built here, by name.
	Builds map[string]*BuildState `json:"builds,omitempty"`
	// Order is the wanted images as the menu shows them, and Mode and Timeout
	// how the menu is treated: kept so that the menu can be written without
	// the config repo.
	Order   []string `json:"order,omitempty"`
	Mode    string   `json:"mode,omitempty"`
	Timeout *int     `json:"timeout,omitempty"`
	// Default is the entry id that `boot set-default` chose, empty for the
	// first image's newest generation.
	Default string `json:"default,omitempty"`
	// Failure is why the last run ended without having looked at all images,
	// and which revision it was for, if one was fetched.
	Failure *Failure `json:"failure,omitempty"`
}

// ImageState is what is known of one image.
type ImageState struct {
	Source Source `json:"source"`
	// Generations are those on the stage, oldest first.
	Generations []Generation `json:"generations,omitempty"`
	// Failure is why the last run could not converge the image.
	Failure *Failure `json:"failure,omitempty"`
}

// Source is what an image's declaration was resolved to, and when.
type Source struct {
	// Declared is a hash of the declaration that Digest belongs to.
	Declared string `json:"declared,omitempty"`
	Digest   string `json:"digest,omitempty"`
	// Fingerprint is that of the archive file which gave Digest.
	Fingerprint string    `json:"fingerprint,omitempty"`
	Checked     time.Time `json:"checked,omitzero"`
}

// Generation is the n-th deployment of an image on this machine.
type Generation struct {
	N          int         `json:"n"`
	Deployment string      `json:"deployment"`
	Revision   string      `json:"revision"`
	Created    time.Time   `json:"created"`
	Inputs     plan.Inputs `json:"inputs"`
	// Packages is how the packages differ from the generation before it, absent
	// if that is not known or the layers are the same.
	Packages *packages.Summary `json:"packages,omitempty"`
	// Imported generations came as a file, not from the config repo.
	Imported bool `json:"imported,omitempty"`
}

// origin says where a generation came from.
func (g Generation) origin() string {
	if g.Revision == "" {
		return "imported"
	}
	return "revision " + plan.Short(g.Revision)
}

// Failure is an error that stands until a run without it.
type Failure struct {
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
	// Attempts counts how often an image was built in vain from what Key is a
	// hash of; the polling reconcile tries it again at Next.
	Attempts int       `json:"attempts,omitempty"`
	Next     time.Time `json:"next,omitzero"`
	Key      string    `json:"key,omitempty"`
	// Revision is the one that the run was for which failed as a whole.
	Revision string `json:"revision,omitempty"`
}

// LoadState reads the state of the stage in dir. A stage without one has an
// empty state.
func LoadState(dir string) (*State, error) {
	path := statePath(dir)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &State{Version: StateVersion, Images: map[string]*ImageState{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	s := &State{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("read state %s: %w; move the file away, and the next reconcile stages anew from what is there", path, err)
	}
	if s.Version != StateVersion {
		return nil, fmt.Errorf("state %s has version %d, this gitboot reads %d; use the gitboot that wrote it", path, s.Version, StateVersion)
	}
	if s.Images == nil {
		s.Images = map[string]*ImageState{}
	}
	for name, b := range s.Builds {
		if b == nil {
			return nil, fmt.Errorf("state %s: build %q is null; move the file away, and the next reconcile stages anew from what is there", path, name)
		}
	}
	for name, img := range s.Images {
		if img == nil {
			return nil, fmt.Errorf("state %s: image %q is null; move the file away, and the next reconcile stages anew from what is there", path, name)
		}
	}
	return s, nil
}

func statePath(dir string) string { return stage.Layout(dir).StateFile() }

// Save publishes s durably unless the file says the same already.
func (s *State) Save(dir string) error {
	old, err := LoadState(dir)
	if err == nil && old.equal(s) {
		return nil
	}
	data, err := s.encode()
	if err != nil {
		return err
	}
	if err := durable.WriteFile(statePath(dir), data, 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

func (s *State) encode() ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	return append(data, '\n'), nil
}

func (s *State) equal(other *State) bool {
	a, errA := s.encode()
	b, errB := other.encode()
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// clone returns a deep copy, so that a run that fails leaves the state it
// read untouched.
func (s *State) clone() (*State, error) {
	data, err := s.encode()
	if err != nil {
		return nil, err
	}
	c := &State{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, err
	}
	if c.Images == nil {
		c.Images = map[string]*ImageState{}
	}
	return c, nil
}

// image returns the named image's state, made if it is not there.
func (s *State) image(name string) *ImageState {
	if s.Images[name] == nil {
		s.Images[name] = &ImageState{}
	}
	return s.Images[name]
}

// fail records why an image did not converge, and keeps the time of the first
// run that said the same, so that a standing failure is not written anew.
func (i *ImageState) fail(err error, now time.Time) { i.Failure = newFailure(i.Failure, err, now) }

func newFailure(old *Failure, err error, now time.Time) *Failure {
	switch {
	case err == nil:
		return nil
	case old != nil && sameMessage(old.Message, err.Error()):
		return old
	}
	return &Failure{Message: err.Error(), Since: now}
}

// anyFailure reports whether an image failed in the last run.
func (s *State) anyFailure() bool {
	for _, img := range s.Images {
		if img.Failure != nil {
			return true
		}
	}
	return false
}

// add appends a generation. A deployment that came back takes its new number:
// one deployment is one entry.
func (i *ImageState) add(g Generation) {
	i.remove(g.Deployment)
	i.Generations = append(i.Generations, g)
}

func (i *ImageState) remove(deployment string) {
	i.Generations = slices.DeleteFunc(i.Generations, func(g Generation) bool { return g.Deployment == deployment })
}

func (i *ImageState) removeNumber(n int) {
	i.Generations = slices.DeleteFunc(i.Generations, func(g Generation) bool { return g.N == n })
}

// dropUnwanted forgets images that are neither wanted nor on the stage.
func (s *State) dropUnwanted(wanted map[string]*observedImage) {
	for name, img := range s.Images {
		if wanted[name] == nil && len(img.Generations) == 0 {
			delete(s.Images, name)
		}
	}
}

// newest returns the last generation, nil if there is none.
func (i *ImageState) newest() *Generation {
	if i == nil || len(i.Generations) == 0 {
		return nil
	}
	return &i.Generations[len(i.Generations)-1]
}
