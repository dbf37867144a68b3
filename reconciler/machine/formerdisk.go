package machine

import (
	"context"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/hooks"
	"github.com/gitboot/gitboot/hooks/formerdisk"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/state"
)

// observeFormerDisk finds out what would be taken out of an image that is
// staged already. Its layers are looked into once: what was found is in the
// inputs of its generation. Those of an older gitboot have none.
func (j *Job) observeFormerDisk(img *observedImage, newest *state.Generation) {
	if img.err != nil || newest == nil || newest.Inputs.ImageDigest != img.inputs.ImageDigest {
		return
	}
	was := newest.Inputs
	img.inputs.FormerDisk, img.inputs.Looked = was.FormerDisk, was.Looked
	if was.Looked == formerdisk.Version && was.Hooks == img.inputs.Hooks {
		return
	}
	m, err := j.Stage.Deployment(newest.Deployment)
	if err != nil {
		return // it is damaged, and staged again
	}
	if f, err := j.formerDisk(img, m.Layers); err == nil {
		img.inputs.FormerDisk, img.inputs.Looked = f.Key(), formerdisk.Version
	}
}

func (j *Job) formerDisk(img *observedImage, layers []deployment.Object) (formerdisk.Disk, error) {
	tree, err := inventory.OpenTree(j.Stage, layers)
	if err != nil {
		return formerdisk.Disk{}, err
	}
	defer tree.Close()
	return formerdisk.Find(tree, img.hooks.Hooks), nil
}

// planFormerDisk says what is taken out of images, and what their boot may
// wait for, as far as their layers are on the stage.
func (j *Job) planFormerDisk(ctx context.Context) error {
	for _, s := range j.plan.Stagings {
		img, newest := j.images[s.Image], j.doc.Images[s.Image].Newest()
		layers, err := j.stagedLayers(img)
		if err != nil {
			return err
		}
		if len(layers) == 0 && newest != nil && newest.Inputs.ImageDigest == img.inputs.ImageDigest {
			if m, err := j.Stage.Deployment(newest.Deployment); err == nil {
				layers = m.Layers
			}
		}
		if len(layers) == 0 || j.builds(s.Image) {
			continue
		}
		if f, err := j.formerDisk(img, layers); err == nil { // else it is damaged, and staged again
			j.plan.SetNotes(s.Image, f.Notes, f.Warnings)
		}
	}
	return ctx.Err()
}

// noteFormerDisk finds what is taken out of an image whose layers are staged,
// and says so.
func (a *application) noteFormerDisk(s *staging, root hooks.View) formerdisk.Disk {
	f := formerdisk.Find(root, s.image.hooks.Hooks)
	s.Inputs.FormerDisk, s.Inputs.Looked = f.Key(), formerdisk.Version
	a.plan.SetNotes(s.Image, f.Notes, f.Warnings)
	for _, note := range f.Notes {
		a.Log.Info(note, "image", s.Image)
	}
	for _, warning := range f.Warnings {
		a.Log.Warn(warning, "image", s.Image)
	}
	return f
}
