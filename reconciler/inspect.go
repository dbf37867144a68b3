package reconciler

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gitboot/gitboot/hooks"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/spec"
)

// current is what an observation knows without looking at images: the state,
// the revision and its files, and what they want of this machine.
func (r *Reconciler) current(ctx context.Context) (*observation, error) {
	state, err := LoadState(r.Stage)
	if err != nil {
		return nil, err
	}
	o := &observation{state: state}
	if o.files, err = r.fetch(ctx, o); err != nil {
		return nil, err
	}
	o.wants, err = r.resolve(ctx, o.files)
	return o, err
}

// Wants returns what the config repo's current revision wants of this
// machine.
func (r *Reconciler) Wants(ctx context.Context) (*spec.Wants, source.Revision, error) {
	o, err := r.current(ctx)
	if err != nil {
		return nil, source.Revision{}, err
	}
	return o.wants, o.revision, nil
}

// image returns one of the wanted images by name.
func (o *observation) image(name string) (spec.Image, error) {
	var known []string
	for _, img := range o.wants.Images {
		if img.Name == name {
			return img, nil
		}
		known = append(known, img.Name)
	}
	return spec.Image{}, &NameError{None: fmt.Sprintf("machine %q has no image", o.wants.Machine), Name: name, Known: known}
}

// InspectImage opens a wanted image where it comes from now.
func (r *Reconciler) InspectImage(ctx context.Context, name string) (*image.Image, error) {
	o, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	want, err := o.image(name)
	if err != nil {
		return nil, err
	}
	if want.Build != nil {
		return builtImage(name, o.state.build(name))
	}
	found, opened, err := r.resolveImage(ctx, Source{}, want, o.files)
	if err != nil || opened != nil {
		return opened, err
	}
	return r.openImage(ctx, want, found.Digest, o.files)
}

// RunHooks renders the hooks of one image, as reconcile would onto its newest
// generation, and writes their layer as a tar archive. Nothing is staged;
// secrets that do not exist yet are made and kept, which is why it takes the
// stage's lock.
func (r *Reconciler) RunHooks(ctx context.Context, name string, w io.Writer) (diffID string, atBoot []string, err error) {
	lock, err := r.lock(ctx)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	o, err := r.current(ctx)
	if err != nil {
		return "", nil, err
	}
	want, err := o.image(name)
	if err != nil {
		return "", nil, err
	}
	input := r.hookInput(want)
	if newest := o.state.Images[name].newest(); newest != nil {
		m, err := r.stage.Deployment(newest.Deployment)
		if err != nil {
			return "", nil, err
		}
		tree, err := r.openTree(m.Layers)
		if err != nil {
			return "", nil, err
		}
		defer tree.Close()
		input.Root = tree
	} else {
		r.Log.Info("the image is not staged yet: paths are not looked up in it", "image", name)
	}
	return writeHooks(ctx, input, w)
}

func writeHooks(ctx context.Context, input hooks.Input, w io.Writer) (diffID string, atBoot []string, err error) {
	out, err := hooks.Render(ctx, input)
	if err != nil {
		return "", nil, err
	}
	defer out.Close()
	if out.Empty() {
		return "", nil, tar.NewWriter(w).Close()
	}
	layer, err := out.Open(ctx)
	if err != nil {
		return "", nil, err
	}
	defer layer.Close()
	_, err = io.Copy(w, layer)
	return out.DiffID, out.AtBoot, err
}

// builtImage tells what the last build of an image gave.
func builtImage(name string, s *BuildState) (*image.Image, error) {
	if s.Digest == "" {
		return nil, fmt.Errorf("image %q is not built yet; `gitboot image build %s` builds it, and so does the next reconcile", name, name)
	}
	img := &image.Image{Digest: s.Digest, Created: s.Epoch}
	for _, diffID := range s.Layers {
		img.Layers = append(img.Layers, image.Layer{DiffID: diffID})
	}
	return img, nil
}
