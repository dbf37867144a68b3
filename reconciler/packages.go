package reconciler

import (
	"context"
	"slices"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/rootfs/packages"
)

// A treeRoot lets package databases be read from staged layers, until its
// context ends.
type treeRoot struct {
	ctx  context.Context
	tree *rootfs.Tree
}

func (r treeRoot) ReadDir(path string) ([]string, error) { return r.tree.ReadDir(path) }

func (r treeRoot) ReadFile(path string, limit int64) ([]byte, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	return r.tree.ReadFile(path, limit)
}

// installed returns the packages that some layers hold together.
func (r *Reconciler) installed(ctx context.Context, layers []deployment.Object) ([]packages.Package, error) {
	paths := make([]string, len(layers))
	for i, obj := range layers {
		paths[i] = r.stage.ObjectPath(obj)
	}
	tree, err := rootfs.OpenTree(paths)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	return packages.Read(treeRoot{ctx, tree})
}

// packages notes, for people, which packages differ from the generation
// before. It fails no image: whether a database can be read decides nothing.
func (a *application) packages(ctx context.Context) error {
	return a.each(ctx, "compare packages", func(ctx context.Context, s *staging) error {
		before := a.state.Images[s.Image].newest()
		if before == nil {
			return nil
		}
		if s.packages = a.notedPackages(ctx, s.Image, before.Deployment, s.layers); s.packages != nil {
			a.plan.SetPackages(s.Image, s.packages.String())
			a.Log.Info("compared packages", "image", s.Image, "generation", s.Generation, "packages", s.packages.Count)
		}
		return nil
	})
}

// notedPackages is changedPackages where it may fail.
func (r *Reconciler) notedPackages(ctx context.Context, image, deployment string, layers []deployment.Object) *packages.Summary {
	s, err := r.changedPackages(ctx, deployment, layers)
	if err != nil {
		r.Log.Warn("which packages changed is not known", "image", image, "error", err)
	}
	return s
}

// changedPackages compares a deployment's packages with those of layers. It is
// nil where nothing can have changed, and where there is no database.
func (r *Reconciler) changedPackages(ctx context.Context, deployment string, layers []deployment.Object) (*packages.Summary, error) {
	m, err := r.stage.Deployment(deployment)
	if err != nil || slices.Equal(m.Layers, layers) {
		return nil, err
	}
	before, err := r.installed(ctx, m.Layers)
	if err != nil {
		return nil, err
	}
	after, err := r.installed(ctx, layers)
	if err != nil || len(before)+len(after) == 0 {
		return nil, err
	}
	s := packages.Summarize(packages.Compare(before, after))
	return &s, nil
}
