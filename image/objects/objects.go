// Package objects is the form in which squashfs objects are published beside the
// image of whose layers they were made, so that a machine fetches what it would
// else make itself.
//
// In a registry it is an artifact (OCI image-spec 1.1) of the type Type that refers
// to the image's manifest. Its configuration is a Description, as JSON, and its
// layers are the objects, each once and with what says of which blocks it consists, so
// that who has older objects fetches only what differs; and what a boot loader loads.
// Any tool goes on reading the image itself.
//
// A description says what somebody has made. Who may be believed is for others to
// decide (package cosign), and what is fetched is verified by its digest.
package objects

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Media types.
const (
	Type   = "application/vnd.gitboot.objects.v1+json"
	Object = "application/vnd.gitboot.layer.v1.squashfs"
	Blocks = "application/vnd.gitboot.layer.v1.blocks"
	Patch  = "application/vnd.gitboot.layer.v1.patch"
	// KernelFile and InitramfsFile are as a boot loader loads them.
	KernelFile    = "application/vnd.gitboot.kernel.v1"
	InitramfsFile = "application/vnd.gitboot.initramfs.v1"
)

const (
	// version is that of the form.
	version = 1
	// MaxSize is how large a description may be, in bytes.
	MaxSize = 8 << 20
	// maxLayers is what overlayfs takes, and maxLacks how many paths of one layer
	// are worth telling.
	maxLayers, maxLacks = 500, 10_000
	// maxBlocks is how large a block map may be, in bytes: larger than any is.
	maxBlocks = 32 << 20
	// maxPatches is how many there may be for one layer, and how many images they may be
	// made from; maxFrom is of how many objects one may be made.
	maxPatches, maxFrom = 16, 128
	// maxKernels is how many are told of, and maxText how long what is said of one may be.
	maxKernels, maxText = 16, 4096
)

// A Description says what became of an image's layers.
type Description struct {
	Version int `json:"version"`
	// Image is the digest of the image's manifest.
	Image string `json:"image"`
	// Rewriter and Squasher say what made the objects.
	Rewriter int    `json:"rewriter"`
	Squasher string `json:"squasher"`
	// Layers are those that were published, in the image's order.
	Layers []Layer `json:"layers"`
	// Init is the checksum of the gitboot-init that is in the initramfs of Kernels, ""
	// where none were to be made.
	Init string `json:"init,omitempty"`
	// PatchedFrom are the digests of the images from which patches were made, where
	// these are worth it.
	PatchedFrom []string `json:"patchedFrom,omitempty"`
	Kernels     []Kernel `json:"kernels,omitempty"`
}

// A Kernel is one of the image's, and the initramfs that was made for it.
type Kernel struct {
	// Key is a hash of all that both are made of: who would make them of the same takes
	// these instead.
	Key string `json:"key"`
	// Version is the kernel's release, and Path where it lies in the image.
	Version   string `json:"version"`
	Path      string `json:"path"`
	Kernel    File   `json:"kernel"`
	Initramfs File   `json:"initramfs"`
}

// A File is one of the artifact's, by its sha256 in hex.
type File struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// A Layer is what one layer became.
type Layer struct {
	// DiffID is the digest of the layer's tar.
	DiffID string `json:"diffID"`
	// SHA256 is the object's, in hex; it has Size bytes.
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	// Blocks is the file that says of what blocks the object consists (package
	// blockmap), nil if there is none.
	Blocks *File `json:"blocks,omitempty"`
	// Lacks are the paths that the layer names and does not hold, nil if there are
	// none, and Taken is a hash of what those below it gave for them, "" for nothing:
	// above others it becomes another object.
	Lacks *Lacks `json:"lacks,omitempty"`
	Taken string `json:"taken,omitempty"`
	// Patches make most of its blocks out of older objects.
	Patches []LayerPatch `json:"patches,omitempty"`
}

// A LayerPatch makes blocks (package blockpatch) of a layer's object for who has all of
// some older objects.
type LayerPatch struct {
	File
	// From are these objects, by their sha256, in the patch's order.
	From []string `json:"from"`
	// Rest is how many bytes of the object are fetched besides.
	Rest int64 `json:"rest"`
}

// Lacks are what a layer takes from those below it.
type Lacks struct {
	Folders []string `json:"folders,omitempty"`
	Files   []string `json:"files,omitempty"`
	Root    bool     `json:"root,omitempty"`
}

// Encode writes a description: the same one as the same bytes.
func (d Description) Encode() ([]byte, error) {
	d.Version = version
	data, err := json.Marshal(d)
	if err == nil && len(data) > MaxSize {
		err = fmt.Errorf("the description of %d layers has %d bytes, of which %d are allowed", len(d.Layers), len(data), MaxSize)
	}
	return data, err
}

// ErrOther says that a description is of a later form, or of another image.
var ErrOther = errors.New("it describes something else")

// Parse reads the description of an image.
func Parse(data []byte, image string) (Description, error) {
	var d Description
	if len(data) > MaxSize {
		return d, fmt.Errorf("it is larger than %d MiB", MaxSize>>20)
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return d, fmt.Errorf("it cannot be read: %w", err)
	}
	if d.Version != version || d.Image != image {
		return d, ErrOther
	}
	if len(d.Layers) > maxLayers {
		return d, fmt.Errorf("it has more than %d layers", maxLayers)
	}
	for _, l := range d.Layers {
		if err := l.check(); err != nil {
			return d, err
		}
	}
	if len(d.PatchedFrom) > maxPatches {
		return d, fmt.Errorf("it has patches from more than %d images", maxPatches)
	}
	if len(d.Kernels) > maxKernels || len(d.Init) > maxText {
		return d, fmt.Errorf("it tells of more than %d kernels, or too much of them", maxKernels)
	}
	for _, k := range d.Kernels {
		if err := k.check(); err != nil {
			return d, err
		}
	}
	return d, nil
}

func (k Kernel) check() error {
	switch {
	case !isHash(k.Key) || !isHash(k.Kernel.SHA256) || !isHash(k.Initramfs.SHA256):
		return errors.New("it names a kernel by what is no sha256")
	case k.Kernel.Size <= 0 || k.Initramfs.Size <= 0:
		return errors.New("it has a kernel or an initramfs without a byte")
	case k.Version == "" || len(k.Version)+len(k.Path) > maxText:
		return errors.New("it has a kernel without a release, or with too long a one")
	}
	return nil
}

func (l Layer) check() error {
	diffID, ok := strings.CutPrefix(l.DiffID, "sha256:")
	switch {
	case !ok || !isHash(diffID) || !isHash(l.SHA256) || l.Taken != "" && !isHash(l.Taken):
		return errors.New("it names a layer by what is no sha256")
	case l.Size <= 0:
		return fmt.Errorf("it has a layer of %d bytes", l.Size)
	case l.Blocks != nil && (!isHash(l.Blocks.SHA256) || l.Blocks.Size <= 0 || l.Blocks.Size > maxBlocks):
		return errors.New("it has a layer whose block map is named by what is no sha256, or has a size that none has")
	case l.Lacks == nil && l.Taken != "":
		return errors.New("it has a layer that took what it does not lack")
	case l.Lacks != nil && len(l.Lacks.Folders)+len(l.Lacks.Files) > maxLacks:
		return fmt.Errorf("it has a layer that lacks more than %d paths", maxLacks)
	case len(l.Patches) > maxPatches:
		return fmt.Errorf("it has a layer with more than %d patches", maxPatches)
	}
	for _, p := range l.Patches {
		if err := p.check(l.Size); err != nil {
			return err
		}
	}
	return nil
}

func (p LayerPatch) check(whole int64) error {
	switch {
	case !isHash(p.SHA256) || slices.ContainsFunc(p.From, func(o string) bool { return !isHash(o) }):
		return errors.New("it has a patch that is named, or made from what is named, by what is no sha256")
	case len(p.From) == 0 || len(p.From) > maxFrom:
		return fmt.Errorf("it has a patch that is made from %d objects", len(p.From))
	case p.Size <= 0 || p.Size >= whole || p.Rest < 0 || p.Rest >= whole:
		return fmt.Errorf("it has a patch of %d bytes, and %d besides, for a layer of %d", p.Size, p.Rest, whole)
	}
	return nil
}

func isHash(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == 32 && strings.ToLower(s) == s
}
