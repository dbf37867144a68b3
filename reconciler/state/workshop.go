package state

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/rootfs/packages"
	"github.com/gitboot/gitboot/stage"
)

// Workshop is what the workshop has made: workshop/state.json, written under the
// workshop's lock. What stands in it is ready: in the engine's store, whole.
type Workshop struct {
	Version int `json:"version"`
	// Builds are the images that were built here, by name.
	Builds map[string]*Build `json:"builds,omitempty"`
	// Failure is why the last run ended without having looked at all builds.
	Failure *Failure `json:"failure,omitempty"`
}

// Build is what is known of an image that was built here.
type Build struct {
	// Key is what the image was built from: an equal one builds nothing.
	Key recipe.Key `json:"key,omitempty"`
	// Base is what a base that is pulled or opened was resolved to. BaseID is
	// in the engine's store what it was when its digest was BaseDigest.
	Base       Origin `json:"base,omitzero"`
	BaseID     string `json:"baseID,omitempty"`
	BaseDigest string `json:"baseDigest,omitempty"`
	// BaseBlobs are the layers of a base as its registry has them, by diff id.
	BaseBlobs map[string]image.Blob `json:"baseBlobs,omitempty"`
	// Named are what other images that steps name were resolved to, by their
	// references.
	Named map[string]Origin `json:"named,omitempty"`
	// ID is the image in the store of Engine (absent: the one that is
	// configured); Content changes when children have to be built again, Digest
	// when its layers change.
	ID      string `json:"id,omitempty"`
	Engine  string `json:"engine,omitempty"`
	Content string `json:"content,omitempty"`
	Digest  string `json:"digest,omitempty"`
	// Relayered is what was made of that, where its layers are by packages: Digest,
	// Layers, Sizes and Config are then this one's.
	Relayered *Relayered `json:"relayered,omitempty"`
	// Layers are diff ids, and Sizes those of their tars in bytes, absent if
	// that is not known.
	Layers []string `json:"layers,omitempty"`
	Sizes  []int64  `json:"sizes,omitempty"`
	// Epoch is the time that the files bear: that of the revision which
	// changed the key last.
	Epoch time.Time `json:"epoch,omitzero"`
	// Built is when it was built last, at Revision.
	Built    time.Time `json:"built,omitzero"`
	Revision string    `json:"revision,omitempty"`
	// Config is a hash of the configuration that is published, Made the build
	// that gave it and the layers.
	Config  string   `json:"config,omitempty"`
	Made    Made     `json:"made,omitzero"`
	Push    *Push    `json:"push,omitempty"`
	Failure *Failure `json:"failure,omitempty"`
	// Test is how the last boot test went, of what was built or was to be; absent
	// without any.
	Test *Test `json:"test,omitempty"`
	// Packages is which of them changed with the last build, if that was found
	// out before it was staged.
	Packages *BuiltPackages `json:"packages,omitempty"`
}

// Relayered is an image that was made of one that an engine built.
type Relayered struct {
	// ID is the image in the store of such images, Key a hash of all that it was made
	// from.
	ID  string `json:"id"`
	Key string `json:"key"`
	// Built changes when the layers of what the engine built do.
	Built string `json:"built"`
}

// Made is the build that gave what an image is now. Those after it gave the
// same, so that what is published stays the same too.
type Made struct {
	Time     time.Time `json:"time"`
	Revision string    `json:"revision"`
}

// Push is what was published of an image.
type Push struct {
	// Ref is where, Key a hash of all that decides what was published there.
	Ref string `json:"ref,omitempty"`
	Key string `json:"key,omitempty"`
	// Digest is the manifest's, Tag the dated one.
	Digest string    `json:"digest,omitempty"`
	Tag    string    `json:"tag,omitempty"`
	Time   time.Time `json:"time,omitzero"`
	// Earlier are the digests of what was pushed before, newest first, as many as patches
	// are made from.
	Earlier []string `json:"earlier,omitempty"`
	// Blobs are what the layers became, by diff id.
	Blobs   map[string]image.Blob `json:"blobs,omitempty"`
	Failure *Failure              `json:"failure,omitempty"`
}

// BuiltPackages is which packages changed with a build that is not staged yet.
type BuiltPackages struct {
	// Digest is the build's, Since the deployment that it was compared with:
	// the newest then.
	Digest string `json:"digest"`
	Since  string `json:"since"`
	packages.Summary
}

const (
	workshopWords  = "the workshop's state"
	workshopRemedy = "move the file away, and the next reconcile builds anew"
)

// LoadWorkshop reads the document of the stage in dir. Without one it is what
// an older gitboot kept with the machine's, or empty.
func LoadWorkshop(dir string) (*Workshop, error) {
	return loadWorkshop(dir, func() (*Machine, error) { return LoadMachine(dir) })
}

func loadWorkshop(dir string, machine func() (*Machine, error)) (*Workshop, error) {
	path := stage.Layout(dir).Workshop().StateFile()
	w := &Workshop{}
	there, err := read(path, workshopWords, workshopRemedy, w)
	if err != nil {
		return nil, err
	}
	if !there {
		w.Version = Version
		m, err := machine()
		if err != nil {
			return nil, err
		}
		path = stage.Layout(dir).StateFile()
		if err := w.inherit(path, m); err != nil {
			return nil, err
		}
	}
	if err := checkVersion(path, workshopWords, w.Version); err != nil {
		return nil, err
	}
	for name, b := range w.Builds {
		if b == nil {
			return nil, fmt.Errorf("state %s: build %q is null; %s", path, name, workshopRemedy)
		}
	}
	return w, nil
}

// inherit takes over what an older gitboot kept in the machine's document.
func (w *Workshop) inherit(path string, m *Machine) error {
	if m.Builds == nil {
		return nil
	}
	if err := json.Unmarshal(m.Builds, &w.Builds); err != nil {
		return fmt.Errorf("read the builds in %s: %w; %s", path, err, machineRemedy)
	}
	return nil
}

// hasWorkshop reports whether the workshop has its document. In doubt it has
// not: what an older gitboot knew is then kept.
func hasWorkshop(dir string) bool {
	_, err := os.Stat(stage.Layout(dir).Workshop().StateFile())
	return err == nil
}

// Save publishes the document unless the file says the same already.
func (w *Workshop) Save(dir string) error {
	old, err := LoadWorkshop(dir)
	if err == nil && same(old, w) {
		return nil
	}
	return write(stage.Layout(dir).Workshop().StateFile(), workshopWords, w)
}

// Same reports whether two documents say the same.
func (w *Workshop) Same(other *Workshop) bool { return same(w, other) }

// Clone returns a deep copy.
func (w *Workshop) Clone() (*Workshop, error) {
	c := &Workshop{}
	return c, copyTo(w, c)
}

// Build returns a copy of what is known of an image's builds, empty if nothing
// is.
func (w *Workshop) Build(name string) *Build {
	if b := w.Builds[name]; b != nil {
		c := *b
		return &c
	}
	return &Build{}
}

// SetBuild notes what is known of an image's builds.
func (w *Workshop) SetBuild(name string, b *Build) {
	if w.Builds == nil {
		w.Builds = map[string]*Build{}
	}
	w.Builds[name] = b
}

// Newest is the latest time at which something is known to have happened.
func (w *Workshop) Newest() (newest time.Time) {
	for _, b := range w.Builds {
		newest = later(newest, later(b.Built, b.Base.Checked))
		if b.Push != nil {
			newest = later(newest, b.Push.Time)
		}
	}
	return newest
}

// Stored names what an engine's store has to hold: what was built, and the
// bases of that.
func (w *Workshop) Stored() (ids []string) {
	for _, b := range w.Builds {
		ids = append(ids, b.ID, b.BaseID)
		if b.Relayered != nil {
			ids = append(ids, b.Relayered.ID)
		}
	}
	return ids
}

// NewPackages is how the packages of an image's last build differ from the
// newest generation, nil if that is not known.
func (w *Workshop) NewPackages(name string, newest *Generation) *packages.Summary {
	b := w.Builds[name]
	if b == nil || newest == nil || b.Packages == nil || b.Packages.Digest != b.Digest || b.Packages.Since != newest.Deployment {
		return nil
	}
	return &b.Packages.Summary
}
