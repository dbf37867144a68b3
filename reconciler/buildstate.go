package reconciler

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/image"
)

// BuildState is what is known of an image that was built here.
type BuildState struct {
	// Key is what the image was built from: an equal one builds nothing.
	Key recipe.Key `json:"key,omitempty"`
	// Base is what a base that is pulled or opened was resolved to. BaseID is
	// in the engine's store what it was when its digest was BaseDigest.
	Base       Source `json:"base,omitzero"`
	BaseID     string `json:"baseID,omitempty"`
	BaseDigest string `json:"baseDigest,omitempty"`
	// BaseBlobs are the layers of a base as its registry has them, by diff id.
	BaseBlobs map[string]image.Blob `json:"baseBlobs,omitempty"`
	// Named are what other images that steps name were resolved to, by their
	// references.
	Named map[string]Source `json:"named,omitempty"`
	// ID is the image in the engine's store; Content changes when children
	// have to be built again, Digest when its layers change.
	ID      string `json:"id,omitempty"`
	Content string `json:"content,omitempty"`
	Digest  string `json:"digest,omitempty"`
	// Layers are diff ids.
	Layers []string `json:"layers,omitempty"`
	// Epoch is the time that the files bear: that of the revision which
	// changed the key last.
	Epoch time.Time `json:"epoch,omitzero"`
	// Built is when it was built last, at Revision.
	Built    time.Time `json:"built,omitzero"`
	Revision string    `json:"revision,omitempty"`
	// Config is a hash of the configuration that is published, Made the build
	// that gave it and the layers.
	Config  string     `json:"config,omitempty"`
	Made    Made       `json:"made,omitzero"`
	Push    *PushState `json:"push,omitempty"`
	Failure *Failure   `json:"failure,omitempty"`
	// Packages is which of them changed with the last build, if that was found
	// out before it was staged.
	Packages *BuiltPackages `json:"packages,omitempty"`
}

// build returns a copy of what is known of an image's builds.
func (s *State) build(name string) *BuildState {
	if b := s.Builds[name]; b != nil {
		c := *b
		return &c
	}
	return &BuildState{}
}

func (s *State) setBuild(name string, b *BuildState) {
	if s.Builds == nil {
		s.Builds = map[string]*BuildState{}
	}
	s.Builds[name] = b
}

// Made is the build that gave what an image is now. Those after it gave the
// same, so that what is published stays the same too.
type Made struct {
	Time     time.Time `json:"time"`
	Revision string    `json:"revision"`
}

// made notes what a build gave, and whether that is anything new.
func (s *BuildState) made(img engine.Image, at Made) error {
	config, err := image.PublicConfig(img.Config, time.Time{}, nil)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(config)
	hash := hex.EncodeToString(sum[:])
	if s.Config != hash || s.Digest != img.Digest {
		s.Config, s.Made = hash, at
	}
	return nil
}
