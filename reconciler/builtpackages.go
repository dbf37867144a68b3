package reconciler

import (
	"context"
	"fmt"
	"slices"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/rootfs/packages"
)

// BuiltPackages is which packages changed with a build that is not staged yet.
type BuiltPackages struct {
	// Digest is the build's, Since the deployment that it was compared with:
	// the newest then.
	Digest string `json:"digest"`
	Since  string `json:"since"`
	packages.Summary
}

// newPackages is how the packages of the last build differ from the newest
// generation, nil if that is not known.
func (s *State) newPackages(name string) *packages.Summary {
	b, newest := s.Builds[name], s.Images[name].newest()
	if b == nil || newest == nil || b.Packages == nil || b.Packages.Digest != b.Digest || b.Packages.Since != newest.Deployment {
		return nil
	}
	return &b.Packages.Summary
}

// planPackages says what is known of packages before anything is staged: of
// images whose layers are all on the stage, such as one that an older commit
// brought, and of those that `image build` has made.
func (r *Reconciler) planPackages(ctx context.Context, o *observation) error {
	for _, s := range o.plan.Stages {
		img, newest := o.images[s.Image], o.state.Images[s.Image].newest()
		if newest == nil || img.building() || newest.Inputs.ImageDigest == img.inputs.ImageDigest {
			continue
		}
		layers, err := r.stagedLayers(img)
		if err != nil {
			return err
		}
		var summary *packages.Summary
		switch {
		case len(layers) > 0:
			summary = r.notedPackages(ctx, s.Image, newest.Deployment, layers)
		case img.build != nil:
			summary = o.state.newPackages(s.Image)
		}
		if summary != nil {
			o.plan.SetPackages(s.Image, summary.String())
		}
	}
	return ctx.Err()
}

// stagedLayers returns an image's layers if all of them are on the stage.
func (r *Reconciler) stagedLayers(img *observedImage) (out []deployment.Object, err error) {
	var layers []image.Layer
	switch {
	case img.build != nil:
		layers = builtLayers(img.build.state)
	case img.opened != nil:
		layers = img.opened.Layers
	}
	out, err = r.stage.Layers(layerIDs(layers))
	if slices.Contains(out, deployment.Object{}) {
		return nil, err
	}
	return out, err
}

// compareBuilds notes which packages changed with what was built, for people:
// no build fails by it.
func (r *Reconciler) compareBuilds(ctx context.Context, o *observation) {
	for _, b := range o.builds {
		newest := o.state.Images[b.want.Name].newest()
		if !b.ran || newest == nil || newest.Inputs.ImageDigest == b.state.Digest {
			continue
		}
		summary, err := r.compareBuild(ctx, b, newest.Deployment)
		if err != nil {
			r.Log.Warn("which packages changed is not known", "image", b.want.Name, "error", err)
			continue
		}
		if summary != nil {
			state := o.state.build(b.want.Name)
			state.Packages = &BuiltPackages{b.state.Digest, newest.Deployment, *summary}
			o.state.setBuild(b.want.Name, state)
		}
	}
}

func (r *Reconciler) compareBuild(ctx context.Context, b *observedBuild, deployment string) (*packages.Summary, error) {
	m, err := r.stage.Deployment(deployment)
	if err != nil {
		return nil, err
	}
	before, err := r.installed(ctx, m.Layers)
	if err != nil {
		return nil, err
	}
	after, err := r.installedInBuild(ctx, b)
	if err != nil || len(before)+len(after) == 0 {
		return nil, err
	}
	s := packages.Summarize(packages.Compare(before, after))
	return &s, nil
}

// installedInBuild reads the packages of a built image: out of its layers on
// the stage as far as they are there, upwards of that out of the engine's
// store.
func (r *Reconciler) installedInBuild(ctx context.Context, b *observedBuild) ([]packages.Package, error) {
	layers, err := r.stage.Layers(layerIDs(builtLayers(b.state)))
	if err != nil {
		return nil, err
	}
	var staged []string
	for _, obj := range layers {
		if obj == (deployment.Object{}) {
			break
		}
		staged = append(staged, r.stage.ObjectPath(obj))
	}
	var root packages.Root
	if len(staged) > 0 {
		tree, err := rootfs.OpenTree(staged)
		if err != nil {
			return nil, err
		}
		defer tree.Close()
		root = treeRoot{ctx, tree}
	}
	if len(staged) < len(layers) {
		if root, err = r.addStored(ctx, root, b, len(staged)); err != nil {
			return nil, err
		}
	}
	return packages.Read(root)
}

// addStored puts the layers of a built image upon a root, from a given one on.
func (r *Reconciler) addStored(ctx context.Context, root packages.Root, b *observedBuild, from int) (packages.Root, error) {
	e, err := r.engine(b)
	if err != nil {
		return nil, err
	}
	stored, err := e.Image(ctx, b.state.ID)
	if err != nil {
		return nil, err
	}
	for _, l := range stored.Layers[min(from, len(stored.Layers)):] {
		if root, err = addLayer(ctx, root, l); err != nil {
			return nil, fmt.Errorf("layer %s: %w", l.DiffID, err)
		}
	}
	return root, nil
}

func addLayer(ctx context.Context, root packages.Root, l engine.Layer) (packages.Root, error) {
	in, err := l.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return packages.AddLayer(root, in)
}
