package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/image/objects"
	"github.com/gitboot/gitboot/image/registry"
)

// A Made is the object that somebody has made of a layer and published.
type Made struct {
	objects.Layer
	// Published is the digest of what was published; Rewriter and Squasher are what its
	// description says of how it was made; Init is that of objects.Description.
	Published, Squasher, Init string
	Rewriter                  int
	// PatchedFrom is that of objects.Description.
	PatchedFrom []string
	// SignedBy is the file of the keys of which one has signed it.
	SignedBy string
	// Open streams the object, verified as Layer.Open's stream is.
	Open func(context.Context) (io.ReadCloser, error)
	// BlockMap fetches what says of what blocks it consists (package blockmap), and Part
	// some of its bytes; nil where that was not published.
	BlockMap func(context.Context) ([]byte, error)
	Part     func(ctx context.Context, off, n int64) (Part, error)
	// Patches are those that were published, which need the block map, too.
	Patches []MadePatch

	// blockMap is what BlockMap has fetched.
	blockMap []byte
}

// A MadePatch makes blocks of an object out of older ones.
type MadePatch struct {
	objects.LayerPatch
	// Open streams it, verified as Layer.Open's stream is.
	Open func(context.Context) (io.ReadCloser, error)
}

// A Part reads some bytes of a file in a registry. Nothing has verified them.
type Part = registry.Part

// A MadeKernel is a kernel of an image, and the initramfs for it, which somebody has made
// and published.
type MadeKernel struct {
	objects.Kernel
	// Published is the digest of what was published, Init the checksum of the gitboot-init
	// in the initramfs; SignedBy is as in Made.
	Published, Init, SignedBy string
	// OpenKernel and OpenInitramfs stream them, verified as Layer.Open's stream is.
	OpenKernel, OpenInitramfs func(context.Context) (io.ReadCloser, error)
}

// FindMade finds the objects of an image's layers that were published beside it, notes
// them as the layers' Made and the image's Kernels, and says of what was not believed
// why. Only those count that are signed as one of the policies wants; without a policy
// none does, and nobody is asked. Nothing of an object is fetched.
func FindMade(ctx context.Context, ref string, img *Image, trust []cosign.Policy, opts Options) (doubts []error, err error) {
	if len(trust) == 0 {
		return nil, nil
	}
	subject, err := v1.NewHash(img.Digest)
	if err != nil {
		return nil, fmt.Errorf("find objects of %s: digest %q is not sha256:<64 hex digits>", untrusted.CleanText(ref), untrusted.Printable(img.Digest, 90))
	}
	opts = opts.withDefaults()
	asked := opts.registry()
	asked.Given = img.given
	list, err := registry.Artifacts(ctx, ref, subject, objects.Type, asked)
	if err != nil {
		return nil, fmt.Errorf("find objects of %s: %w", untrusted.CleanText(ref), err)
	}
	for _, a := range slices.Backward(list) {
		if !slices.ContainsFunc(img.Layers, func(l Layer) bool { return l.Made == nil }) {
			break
		}
		if err := addMade(ctx, a, img, trust, opts); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			doubts = append(doubts, fmt.Errorf("objects %s: %w", a.Digest, err))
		}
	}
	return doubts, nil
}

// addMade adds what an artifact has of the layers that are not known yet.
func addMade(ctx context.Context, a registry.Artifact, img *Image, trust []cosign.Policy, opts Options) error {
	by, err := signedByAny(ctx, a, trust, opts)
	if err != nil {
		return err
	}
	data, err := a.Config(ctx, objects.MaxSize)
	if err != nil {
		return err
	}
	if err := untrusted.CheckDocument(data, "its description"); err != nil {
		return err
	}
	d, err := objects.Parse(data, img.Digest)
	if err != nil {
		return err
	}
	for i := range img.Layers {
		l := &img.Layers[i]
		at := slices.IndexFunc(d.Layers, func(m objects.Layer) bool { return m.DiffID == l.DiffID })
		if l.Made != nil || at < 0 {
			continue
		}
		if l.Made = madeOf(a, d, d.Layers[at]); l.Made != nil {
			l.Made.SignedBy = by
		}
	}
	for _, k := range d.Kernels {
		kernel, initramfs := madeFile(a, k.Kernel), madeFile(a, k.Initramfs)
		if kernel != nil && initramfs != nil {
			img.Kernels = append(img.Kernels, MadeKernel{k, a.Digest.String(), d.Init, by, kernel, initramfs})
		}
	}
	return nil
}

// madeOf is what an artifact has of a layer, nil if it does not have the object.
func madeOf(a registry.Artifact, d objects.Description, l objects.Layer) *Made {
	object, ok := a.File(l.SHA256, l.Size)
	if !ok {
		return nil
	}
	m := &Made{Layer: l, Published: a.Digest.String(), Squasher: d.Squasher, Init: d.Init, Rewriter: d.Rewriter, PatchedFrom: d.PatchedFrom, Open: a.Open(object)}
	if l.Blocks == nil {
		return m
	}
	if blocks, ok := a.File(l.Blocks.SHA256, l.Blocks.Size); ok {
		m.BlockMap = func(ctx context.Context) (data []byte, err error) {
			data, err = a.Read(ctx, blocks, blocks.Size)
			m.blockMap = data
			return data, err
		}
		m.Part = a.Parts(object)
		m.Patches = patchesOf(a, l.Patches)
	}
	return m
}

func patchesOf(a registry.Artifact, list []objects.LayerPatch) (patches []MadePatch) {
	for _, p := range list {
		if open := madeFile(a, p.File); open != nil {
			patches = append(patches, MadePatch{p, open})
		}
	}
	return patches
}

// madeFile describes how to read a file of an artifact, nil where it has no such file.
func madeFile(a registry.Artifact, want objects.File) func(context.Context) (io.ReadCloser, error) {
	f, ok := a.File(want.SHA256, want.Size)
	if !ok {
		return nil
	}
	return a.Open(f)
}

// signedByAny returns the file of the first policy that is fulfilled, or else says why the
// first is not.
func signedByAny(ctx context.Context, a registry.Artifact, trust []cosign.Policy, opts Options) (string, error) {
	var first error
	for _, policy := range trust {
		if policy.Anyone {
			return policy.File, nil
		}
		err := a.Signed(ctx, policy, opts.registry())
		if err == nil {
			return policy.File, nil
		}
		if first == nil {
			first = err
		}
		if !errors.As(err, new(*cosign.UnsignedError)) {
			break // it could not be asked
		}
	}
	return "", first
}
