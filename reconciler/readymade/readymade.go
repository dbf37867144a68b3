// Package readymade publishes the squashfs objects that an image's layers become,
// beside the image in its registry: a machine that believes their signature fetches
// them instead of unpacking and squashing the layers itself.
package readymade

import (
	"context"
	"errors"
	"log/slog"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/objects"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/squash"
)

// atOnce is how many layers are squashed side by side.
const atOnce = 2

// A Publisher publishes objects.
type Publisher struct {
	// Options are for the registry; their platform is the image's.
	Options image.Options
	// Stage has layers already, nil if there is none.
	Stage *stage.Stage
	// Scratch is a folder with room for those that have to be made.
	Scratch string
	// Init is this machine's gitboot-init: with it, or with the one of the image's
	// architecture beside it, a kernel and an initramfs are published, too. "" publishes
	// none.
	Init string
	// Key signs what is published, nil if somebody else does.
	Key *cosign.Signer
	// Earlier are references of images that machines may have: patches are made from
	// what was published of them, signed by the same key.
	Earlier  []string
	Log      *slog.Logger
	Progress progress.Sink
}

// An Image is one that is in a registry.
type Image struct {
	// Ref is its reference, and Digest that of its manifest, of one platform.
	Ref, Digest string
	// Layers are its layers, lowest first.
	Layers []stage.Tar
}

// PublishRef publishes the objects of the image that a reference means now, whoever
// made it.
func (p Publisher) PublishRef(ctx context.Context, ref string) (Published, error) {
	opened, err := image.Open(ctx, ref, "", p.Options)
	if err != nil {
		return Published{}, err
	}
	if out, err := p.published(ctx, ref, opened); err != nil || out.There {
		return out, err
	}
	what := Image{Ref: ref, Digest: opened.Digest}
	for _, l := range opened.Layers {
		what.Layers = append(what.Layers, stage.Tar{DiffID: l.DiffID, Blob: l.Digest, Name: ref, Largest: l.Largest(), Open: l.Open})
	}
	return p.Publish(ctx, what)
}

// published finds out whether all of it was published before, made as it would be now
// and signed by the same key.
func (p Publisher) published(ctx context.Context, ref string, opened *image.Image) (out Published, err error) {
	if p.Key == nil {
		return out, nil
	}
	ours, err := p.Key.Policy("")
	if err != nil {
		return out, err
	}
	_, init, err := p.program()
	if err != nil {
		return out, err
	}
	if _, err := image.FindMade(ctx, ref, opened, []cosign.Policy{ours}, p.Options); err != nil {
		return out, err
	}
	earlier, err := p.earlierDigests(ctx, opened.Digest)
	if err != nil {
		return out, err
	}
	counted := map[string]bool{}
	for _, l := range opened.Layers {
		if l.Made == nil || l.Made.Rewriter != stage.Rewriter || l.Made.Squasher != squash.Squasher || l.Made.Init != init || l.Made.BlockMap == nil || !containsAll(l.Made.PatchedFrom, earlier) {
			return Published{}, nil
		}
		if out.Digest = l.Made.Published; !counted[l.Made.SHA256] {
			counted[l.Made.SHA256] = true
			out.Layers, out.Bytes = out.Layers+1, out.Bytes+l.Made.Size+l.Made.Blocks.Size
			for _, patch := range l.Made.Patches {
				out.Patches, out.Bytes = out.Patches+1, out.Bytes+patch.Size
			}
		}
	}
	if len(opened.Kernels) > 0 {
		k := opened.Kernels[0]
		out.Kernel, out.Bytes = k.Version, out.Bytes+k.Kernel.Kernel.Size+k.Initramfs.Size
	}
	out.There, out.Signed = true, true
	return out, nil
}

// Published is what became of it.
type Published struct {
	image.Attached
	// Layers is how many layers' objects there are, and Made how many of them the stage
	// did not have.
	Layers, Made int
	// Patches is how many patches there are.
	Patches int
	// Kernel is the release of the kernel that is published with an initramfs, "" if none
	// is.
	Kernel string
	Bytes  int64
	Signed bool
}

// Publish publishes the objects of an image.
func (p Publisher) Publish(ctx context.Context, img Image) (Published, error) {
	var attached image.Attached
	out, err := p.Make(ctx, img, func(upload image.ArtifactUpload) (err error) {
		attached, err = image.Attach(ctx, upload, p.Options)
		return err
	})
	out.Attached = attached
	if err != nil || p.Key == nil {
		return out, err
	}
	out.Signed = true
	return out, image.Sign(ctx, img.Ref, out.Digest, *p.Key, p.Options)
}

// Make makes what is published of an image, and hands it over: its files are there until
// take returns.
func (p Publisher) Make(ctx context.Context, img Image, take func(image.ArtifactUpload) error) (out Published, err error) {
	w := &bench{Publisher: p, layers: img.Layers}
	defer func() { err = errors.Join(err, w.clear()) }()
	if err := w.squash(ctx); err != nil {
		return out, err
	}
	out.Made = w.lacked
	upload, d, err := w.upload(ctx, img)
	if err != nil {
		return out, err
	}
	for _, f := range upload.Files {
		if f.MediaType == objects.Object {
			out.Layers++
		}
	}
	if err := w.addPatches(ctx, img, &upload, &d); err != nil {
		return out, err
	}
	for _, f := range upload.Files {
		if f.MediaType == objects.Patch {
			out.Patches++
		}
	}
	if err := w.addKernel(ctx, &upload, &d); err != nil {
		return out, err
	}
	if len(d.Kernels) > 0 {
		out.Kernel = d.Kernels[0].Version
	}
	if upload.Config, err = d.Encode(); err != nil {
		return out, err
	}
	for _, f := range upload.Files {
		out.Bytes += f.Size
	}
	return out, take(upload)
}

// Take is what a machine is told of an object that was published, nil where there is none
// or layers are rewritten in another way here: then it is not what they become.
func Take(m *image.Made) *squash.Made {
	if m == nil || m.Rewriter != stage.Rewriter {
		return nil
	}
	made := &squash.Made{Object: deployment.Object{SHA256: m.SHA256, Size: m.Size}, Taken: m.Taken, Open: m.Open}
	if m.Lacks != nil {
		made.Lacks = &squash.Lacks{Folders: m.Lacks.Folders, Files: m.Lacks.Files, Root: m.Lacks.Root}
	}
	return made
}
