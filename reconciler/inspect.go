package reconciler

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/gitboot/gitboot/hooks"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/spec"
)

// Wants returns what the config repo's current revision wants of this
// machine.
func (r *Reconciler) Wants(ctx context.Context) (*spec.Wants, source.Revision, error) {
	state, err := LoadState(r.Stage)
	if err != nil {
		return nil, source.Revision{}, err
	}
	o := &observation{state: state}
	files, err := r.fetch(ctx, o)
	if err != nil {
		return nil, o.revision, err
	}
	wants, err := r.resolve(files)
	return wants, o.revision, err
}

// WantedImage returns one of the wanted images by name.
func (r *Reconciler) WantedImage(ctx context.Context, name string) (spec.Image, error) {
	wants, _, err := r.Wants(ctx)
	if err != nil {
		return spec.Image{}, err
	}
	var known []string
	for _, img := range wants.Images {
		if img.Name == name {
			return img, nil
		}
		known = append(known, img.Name)
	}
	return spec.Image{}, fmt.Errorf("machine %q has no image %q; it has: %s", r.Machine, name, strings.Join(known, ", "))
}

// InspectImage opens a wanted image where it comes from now.
func (r *Reconciler) InspectImage(ctx context.Context, name string) (*image.Image, error) {
	want, err := r.WantedImage(ctx, name)
	if err != nil {
		return nil, err
	}
	state, err := LoadState(r.Stage)
	if err != nil {
		return nil, err
	}
	src, err := source.Open(ctx, r.Source)
	if err != nil {
		return nil, err
	}
	revision, err := src.Fetch(ctx, state.Revision)
	if err != nil {
		return nil, err
	}
	files, err := src.Files(revision.Hash, r.Subdir)
	if err != nil {
		return nil, err
	}
	if want.Build != nil {
		return builtImage(name, state.build(name))
	}
	found, opened, err := r.resolveImage(ctx, Source{}, want, files)
	if err != nil || opened != nil {
		return opened, err
	}
	return r.openImage(ctx, want, found.Digest, files)
}

// RunHooks renders the hooks of one image, as reconcile would, and writes
// their layer as a tar archive. Nothing is staged; secrets that do not exist
// yet are made and kept.
func (r *Reconciler) RunHooks(ctx context.Context, name string, w io.Writer) (diffID string, atBoot []string, err error) {
	want, err := r.WantedImage(ctx, name)
	if err != nil {
		return "", nil, err
	}
	out, err := hooks.Render(ctx, r.hookInput(want))
	if err != nil {
		return "", nil, err
	}
	defer out.Close()
	tar, err := out.Open(ctx)
	if err != nil {
		return "", nil, err
	}
	defer tar.Close()
	_, err = io.Copy(w, tar)
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
