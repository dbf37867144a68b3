// Package deployment is the contract between the agent, which stages
// deployments, and process 1 of the initramfs, which boots one. It holds three
// forms, all round-trip tested: the manifest of a deployment, the kernel
// parameters that name it, and the record of a boot.
//
// On the stage:
//
//	objects/sha256/<hex>     immutable files: layers, kernels, initramfs
//	deployments/<id>.json    manifests in canonical form
//	boots/<boot id>.json     how boots went
//
// The package imports the standard library only, because it is linked into
// the program that is loaded at every boot.
package deployment

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Version is the manifest format that this package writes.
const Version = 1

// An Object names an immutable file of the stage.
type Object struct {
	// SHA256 is the lower-case hex digest of the file's bytes; it is also
	// its name below objects/sha256.
	SHA256 string `json:"sha256"`
	// Size is the file's length in bytes.
	Size int64 `json:"size"`
}

// Path returns the object's path below the stage, with forward slashes.
func (o Object) Path() string { return "objects/sha256/" + o.SHA256 }

// A Manifest describes one deployment: everything that decides what boots.
// It carries no dates and no revision, so that equal content has an equal id.
type Manifest struct {
	Version int    `json:"version"`
	Image   string `json:"image"`

	Kernel    Object `json:"kernel"`
	Initramfs Object `json:"initramfs"`
	// KernelVersion is the release string, the name of the module directory.
	KernelVersion string `json:"kernelVersion"`
	// KernelArgs are the arguments of image, profiles and machine, merged;
	// without those that gitboot adds itself.
	KernelArgs []string `json:"kernelArgs,omitempty"`

	// Layers are the squashfs objects of the image, lowest first. The
	// overlay's lowerdir option wants them the other way round. A recovery entry's
	// has none.
	Layers []Object `json:"layers"`
	// Hooks is the squashfs above the layers, nil without hooks.
	Hooks *Object `json:"hooks,omitempty"`
	// AtBoot are absolute paths in the new root of scripts that process 1
	// runs there, in order, before the image's init.
	AtBoot []string `json:"atBoot,omitempty"`

	Root Root `json:"root"`

	// Health says when a boot of it counts as good, nil where nothing is
	// declared.
	Health *Health `json:"health,omitempty"`

	// Verity verifies the layers while they are read; nil does not.
	Verity *Verity `json:"verity,omitempty"`

	// Assembles are the kinds of devices, each once, that its initramfs can put together
	// on the way to the stage.
	Assembles []string `json:"assembles,omitempty"`

	// Recovery enters no image: kernel and initramfs are all of it.
	Recovery bool `json:"recovery,omitempty"`
}

// Root says how the root file system is put together.
type Root struct {
	// TmpfsSize limits the writable layer, as the size option of tmpfs
	// takes it: bytes with an optional k, m or g, or a percentage of
	// memory. Empty means the kernel's default, 50%.
	TmpfsSize string `json:"tmpfsSize,omitempty"`
	// CopyToRAM copies the layers into memory before they are mounted, so
	// that the stage's disk may go away.
	CopyToRAM bool `json:"copyToRAM,omitempty"`
	// Upper is where on a disk the writable layer lies, nil for memory.
	Upper *Upper `json:"upper,omitempty"`
}

// Canonical returns the one encoding of m whose hash is its id: JSON with two
// spaces of indentation, fields in the order declared, a final newline.
func (m *Manifest) Canonical() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("encode manifest of %q: %w", m.Image, err)
	}
	return b.Bytes(), nil
}

// ID returns the deployment's id: the lower-case hex sha256 of a canonical
// manifest.
func ID(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// ParseManifest reads a manifest and checks it. If id is not empty, data must
// hash to it.
func ParseManifest(data []byte, id string) (*Manifest, error) {
	if id != "" && ID(data) != id {
		return nil, fmt.Errorf("manifest of deployment %s hashes to %s: the file was changed or cut short", id, ID(data))
	}
	m := new(Manifest)
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		return nil, fmt.Errorf("parse manifest: %w", err)
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m, nil
}

// Objects returns every object that the deployment needs, each once, layers
// first.
func (m *Manifest) Objects() []Object {
	all := append(m.Squashed(), m.Kernel, m.Initramfs)
	if m.Verity != nil {
		for _, t := range m.Verity.Trees {
			all = append(all, t.Object)
		}
	}
	seen := make(map[string]bool, len(all))
	out := all[:0]
	for _, o := range all {
		if !seen[o.SHA256] {
			seen[o.SHA256] = true
			out = append(out, o)
		}
	}
	return out
}

// Validate reports the first thing that makes m unfit to boot.
func (m *Manifest) Validate() error {
	switch {
	case m.Version != Version:
		return fmt.Errorf("manifest has version %d, this gitboot reads %d", m.Version, Version)
	case CheckText(m.Image) != nil:
		return fmt.Errorf("manifest names the image %.100q, which is no name", m.Image)
	case len(m.Layers) == 0 && !m.Recovery:
		return fmt.Errorf("manifest of %q has no layers", m.Image)
	case m.Recovery && len(m.Squashed()) > 0:
		return fmt.Errorf("manifest of %q is a recovery entry's and has layers", m.Image)
	}
	for _, o := range m.Objects() {
		if !IsHash(o.SHA256) || o.Size <= 0 {
			return fmt.Errorf("manifest of %q names an impossible object %q of %d bytes", m.Image, o.SHA256, o.Size)
		}
	}
	for _, p := range m.AtBoot {
		if !strings.HasPrefix(p, "/") || path.Clean(p) != p {
			return fmt.Errorf("manifest of %q names at-boot script %q, which is not a clean absolute path", m.Image, p)
		}
	}
	if m.Health != nil {
		if err := m.Health.Validate(); err != nil {
			return fmt.Errorf("manifest of %q has a health that cannot be: %w", m.Image, err)
		}
	}
	for i, kind := range m.Assembles {
		if !slices.Contains(assembleKinds, kind) || slices.Contains(m.Assembles[:i], kind) {
			return fmt.Errorf("manifest of %q assembles %.100q, which is none of %s, or is there twice", m.Image, kind, strings.Join(assembleKinds, ", "))
		}
	}
	if err := m.Root.Upper.validate(m.Image); err != nil {
		return fmt.Errorf("manifest of %q has a writable layer that cannot be: %w", m.Image, err)
	}
	if m.Root.Upper != nil && m.Root.CopyToRAM {
		return fmt.Errorf("manifest of %q copies its layers to memory and writes to a disk", m.Image)
	}
	return m.validateVerity()
}

// hashLength is that of a sha256 in hex.
const hashLength = 2 * sha256.Size

// IsHash reports whether s is a lower-case hex sha256.
func IsHash(s string) bool {
	if len(s) != hashLength {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
