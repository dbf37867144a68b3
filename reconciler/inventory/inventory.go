// Package inventory tells what is on the stage: whether a deployment is whole,
// and which packages its layers hold.
package inventory

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/rootfs/packages"
	"github.com/gitboot/gitboot/stage"
)

// OpenTree opens staged layers as one root file system.
func OpenTree(st *stage.Stage, layers []deployment.Object) (*rootfs.Tree, error) {
	paths := make([]string, len(layers))
	for i, obj := range layers {
		paths[i] = st.ObjectPath(obj)
	}
	return rootfs.OpenTree(paths)
}

// Root lets package databases be read from a tree, until ctx ends.
func Root(ctx context.Context, tree *rootfs.Tree) packages.Root { return treeRoot{ctx, tree} }

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

// Installed returns the packages that staged layers hold together.
func Installed(ctx context.Context, st *stage.Stage, layers []deployment.Object) ([]packages.Package, error) {
	tree, err := OpenTree(st, layers)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	return packages.Read(Root(ctx, tree))
}

// Changed compares a deployment's packages with those of staged layers. It is
// nil where nothing can have changed, and where there is no database.
func Changed(ctx context.Context, st *stage.Stage, id string, layers []deployment.Object) (*packages.Summary, error) {
	m, err := st.Deployment(id)
	if err != nil || slices.Equal(m.Layers, layers) {
		return nil, err
	}
	return Compare(ctx, st, m.Layers, func() ([]packages.Package, error) { return Installed(ctx, st, layers) })
}

// Compare compares the packages of staged layers with those that after gives,
// nil if neither has a database.
func Compare(ctx context.Context, st *stage.Stage, layers []deployment.Object, after func() ([]packages.Package, error)) (*packages.Summary, error) {
	old, err := Installed(ctx, st, layers)
	if err != nil {
		return nil, err
	}
	new, err := after()
	if err != nil || len(old)+len(new) == 0 {
		return nil, err
	}
	s := packages.Summarize(packages.Compare(old, new))
	return &s, nil
}

// Lack says what a deployment lacks on the stage: "lacks object …"; "" if nothing.
func Lack(st *stage.Stage, id string) string {
	m, err := stage.Proven(st, id)
	if err != nil {
		return "has no readable manifest"
	}
	return lack(st, m.Objects())
}

func lack(st *stage.Stage, objects []deployment.Object) string {
	marked := stage.Marked(st.Layout)
	for _, obj := range objects {
		info, err := os.Stat(st.ObjectPath(obj))
		if err != nil || info.Size() != obj.Size {
			return "lacks object " + plan.Short(obj.SHA256)
		}
		if marked[obj.SHA256] {
			return "has object " + plan.Short(obj.SHA256) + ", which is damaged"
		}
	}
	return ""
}

// Layered reports whether an image's layers can be had from a deployment of it, whatever
// else that lacks.
func Layered(st *stage.Stage, id string) bool {
	m, err := st.Deployment(id)
	return err == nil && lack(st, m.Layers) == ""
}

// Damage says what a generation lacks on the stage; empty if nothing.
func Damage(st *stage.Stage, g state.Generation) string {
	if lack := Lack(st, g.Deployment); lack != "" {
		return fmt.Sprintf("generation %d %s", g.N, lack)
	}
	return ""
}

// maxOlder is how many older objects are worth looking into.
const maxOlder = 128

// Older are the layers on the stage that an image's new ones may have much in common
// with, the likeliest first: those of its own generations, newest first, then those of
// the newest of others.
func Older(st *stage.Stage, doc *state.Machine, image string) (list []deployment.Object) {
	var from []state.Generation
	if img := doc.Images[image]; img != nil {
		from = slices.Clone(img.Generations)
		slices.Reverse(from)
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Images)) {
		if g := doc.Images[name].Newest(); name != image && g != nil {
			from = append(from, *g)
		}
	}
	for _, g := range from {
		m, err := st.Deployment(g.Deployment)
		if err != nil {
			continue // it is damaged, which others tell
		}
		for _, o := range m.Layers {
			if len(list) < maxOlder && !slices.Contains(list, o) {
				list = append(list, o)
			}
		}
	}
	return list
}
