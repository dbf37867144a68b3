package workshop

import (
	"context"
	"fmt"
	"slices"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/rootfs/packages"
)

// compareBuilds notes which packages changed with what was built, for people:
// no build fails by it.
func (j maker) compareBuilds(ctx context.Context) {
	machine, err := state.LoadMachine(j.Stage.Dir())
	if err != nil {
		return // the machine's own run says so
	}
	for _, b := range j.builds {
		newest := machine.Images[b.want.Name].Newest()
		if !b.ran || newest == nil || newest.Inputs.ImageDigest == b.state.Digest {
			continue
		}
		summary, err := j.compareBuild(ctx, b, newest.Deployment)
		if err != nil {
			j.Log.Warn("which packages changed is not known", "image", b.want.Name, "error", err)
			continue
		}
		if summary != nil {
			noted := j.doc.Build(b.want.Name)
			noted.Packages = &state.BuiltPackages{Digest: b.state.Digest, Since: newest.Deployment, Summary: *summary}
			j.doc.SetBuild(b.want.Name, noted)
		}
	}
}

func (j maker) compareBuild(ctx context.Context, b *build, id string) (*packages.Summary, error) {
	m, err := j.Stage.Deployment(id)
	if err != nil {
		return nil, err
	}
	return inventory.Compare(ctx, j.Stage, m.Layers, func() ([]packages.Package, error) { return j.installed(ctx, b) })
}

// installed reads the packages of a built image: out of its layers on
// the stage as far as they are there, upwards of that out of the engine's
// store.
func (j maker) installed(ctx context.Context, b *build) ([]packages.Package, error) {
	layers, err := j.Stage.Layers(LayerIDs(b.state))
	if err != nil {
		return nil, err
	}
	staged := layers[:slices.Index(append(layers, deployment.Object{}), deployment.Object{})]
	var root packages.Root
	if len(staged) > 0 {
		tree, err := inventory.OpenTree(j.Stage, staged)
		if err != nil {
			return nil, err
		}
		defer tree.Close()
		root = inventory.Root(ctx, tree)
	}
	if len(staged) < len(layers) {
		if root, err = j.addStored(ctx, root, b, len(staged)); err != nil {
			return nil, err
		}
	}
	return packages.Read(root)
}

// addStored puts the layers of a built image upon a root, from a given one on.
func (j maker) addStored(ctx context.Context, root packages.Root, b *build, from int) (packages.Root, error) {
	stored, err := j.stored(ctx, b)
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
