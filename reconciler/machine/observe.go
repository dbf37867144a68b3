package machine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/hooks"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/partial"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/readymade"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage/squash"
)

func (j *Job) observeImage(ctx context.Context, want spec.Image) *observedImage {
	img := &observedImage{want: want, hooks: j.HookInput(want)}
	known := j.doc.Images[want.Name]
	if known == nil {
		known = &state.Image{}
	}
	img.inputs = plan.Inputs{
		Hooks:      hooks.Key(img.hooks),
		Init:       j.program.Sum,
		Kernel:     want.Kernel,
		KernelArgs: slices.Clone(want.KernelArgs),
		TmpfsSize:  want.TmpfsSize,
		CopyToRAM:  want.CopyToRAM,
		Upper:      want.Upper,
		Verity:     want.Verity,
		Assembles:  j.location.Assembly.Kinds(),
		Health:     want.Health,
	}
	if want.Build != nil {
		img.err = j.ready(img)
	}
	img.cause = causeOf(img, j.Files)
	if rests := known.Failure.Rests(img.cause, j.Now()); rests != nil && j.req.Patient {
		img.err, img.origin = rests, known.Origin
	}
	if want.Build == nil && img.err == nil {
		img.origin, img.opened, img.err = j.Find.Resolve(ctx, known.Origin, want, j.Files)
	}
	img.inputs.ImageDigest = img.origin.Digest
	staged := known.Staged(img.origin.Digest)
	j.observeFormerDisk(img, staged)
	if img.err == nil {
		img.err = cmp.Or(menu.Check(j.Wants.Machine, want, j.location), menu.Reachable(&j.Book, want, j.location))
	}
	if untested := j.doc.Verdicts.FailedTest(want.Name, img.inputs); img.err == nil && untested != nil && !j.req.Retry {
		img.err = known.Failure.Stands(untested)
	}
	if img.err == nil && j.needsLayers(staged, img.inputs) {
		img.err = j.observeLayers(ctx, img)
	}
	return img
}

// causeOf tells what an image is staged from, but for what its registry has.
func causeOf(img *observedImage, files fs.FS) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %+v", origin.Cause(img.want, files), img.origin.Digest, img.inputs))
	return hex.EncodeToString(sum[:8])
}

// ready takes what the workshop has of an image that is built here.
func (j *Job) ready(img *observedImage) error {
	img.made = j.made.Build(img.want.Name)
	img.origin = state.Origin{Digest: img.made.Digest}
	switch {
	case img.made.Digest != "" || j.builds(img.want.Name):
		return nil
	case img.made.Failure != nil:
		return errors.New(img.made.Failure.Message)
	}
	return &PendingError{img.want.Name}
}

// needsLayers reports whether the image's layers have to be known: not when
// a generation holds them already. What else that may lack is made of them, for which
// nobody has to be asked.
func (j *Job) needsLayers(staged *state.Generation, inputs plan.Inputs) bool {
	return staged == nil || staged.Inputs.ImageDigest != inputs.ImageDigest || !inventory.Layered(j.Stage, staged.Deployment)
}

// observeLayers says which layers of an image are on the stage.
func (j *Job) observeLayers(ctx context.Context, img *observedImage) (err error) {
	if img.made == nil && img.opened == nil {
		if img.opened, err = j.Find.Open(ctx, img.want, img.origin.Digest, j.Files); err != nil {
			return err
		}
	}
	list := img.list()
	objects, err := j.Stage.Layers(layerIDs(list))
	if err != nil {
		return err
	}
	if err := observeBlocks(ctx, j, img, objects); err != nil {
		return err
	}
	if err := observeParts(ctx, j, img, objects); err != nil {
		return err
	}
	for i, l := range list {
		layer := plan.Layer{DiffID: l.DiffID, Bytes: l.Size, Staged: objects[i] != deployment.Object{}}
		if readymade.Take(l.Made) != nil && !img.rebuilds() {
			layer.Bytes, layer.Made = l.Made.Size, true
		}
		if way := img.blocks[l.DiffID]; way != nil {
			layer.Bytes, layer.Whole = way.Fetch, l.Made.Size
			if way.Patch != nil {
				layer.Patch, layer.Beside = true, way.Patch.Room
			}
		}
		if way := img.parts[l.DiffID]; way != nil {
			layer.Bytes, layer.Whole, layer.Beside = way.Fetch, l.Size, way.Room
		}
		if img.made != nil && i < len(img.made.Sizes) {
			layer.Tar = img.made.Sizes[i]
		}
		img.layers = append(img.layers, layer)
	}
	return nil
}

// observeBlocks finds out which of the objects that are to be fetched, as others have
// made them, are had for fewer bytes, from what is on the stage.
func observeBlocks(ctx context.Context, j *Job, img *observedImage, staged []deployment.Object) error {
	list := img.list()
	lacking := make([]*image.Made, len(list))
	for i, l := range list {
		if staged[i] == (deployment.Object{}) && readymade.Take(l.Made) != nil && !img.rebuilds() {
			lacking[i] = l.Made
		}
	}
	f := readymade.Finder{
		Stage: j.Stage, Older: inventory.Older(j.Stage, j.doc, img.want.Name), Unpatched: j.doc.Images[img.want.Name].Unpatched(), Log: j.Log,
	}
	ways, learned, err := f.ByBlocks(ctx, lacking)
	img.blocks, img.learned = map[string]*squash.Blocks{}, learned
	for i, way := range ways {
		img.blocks[list[i].DiffID] = way
	}
	return err
}

// observeParts finds out of which layers that are made here some files are on the stage,
// so that the others alone are fetched.
func observeParts(ctx context.Context, j *Job, img *observedImage, staged []deployment.Object) error {
	list := img.list()
	lacking := make([]*image.Layer, len(list))
	for i, l := range list {
		if staged[i] == (deployment.Object{}) && (readymade.Take(l.Made) == nil || img.rebuilds()) {
			lacking[i] = &list[i]
		}
	}
	f := partial.Finder{Stage: j.Stage, Older: inventory.Older(j.Stage, j.doc, img.want.Name), Log: j.Log, Progress: j.Progress}
	ways, err := f.Ways(ctx, img.want.Name, lacking)
	img.parts = map[string]*partial.Way{}
	for i, way := range ways {
		img.parts[list[i].DiffID] = way
	}
	return err
}
