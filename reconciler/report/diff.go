package report

import (
	"context"
	"fmt"
	"slices"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/rootfs/packages"
	"github.com/gitboot/gitboot/stage"
)

// A GenerationRef names a generation in a Diff.
type GenerationRef struct {
	Image      string `json:"image"`
	Generation int    `json:"generation"`
	Deployment string `json:"deployment"`
}

// A LayerCount is some layers and their size on the stage.
type LayerCount struct {
	Layers int   `json:"layers"`
	Bytes  int64 `json:"bytes"`
}

// A Diff is what differs between two generations' images.
type Diff struct {
	From GenerationRef `json:"from"`
	To   GenerationRef `json:"to"`
	// Shared layers are in both, New only in To, Gone only in From.
	Shared LayerCount `json:"shared"`
	New    LayerCount `json:"new"`
	Gone   LayerCount `json:"gone"`
	// Databases says that at least one of them has a package database.
	Databases bool              `json:"databases"`
	Changes   []packages.Change `json:"changes"`
}

// Compare compares two generations, named as for Find. Without from it is the one
// before to.
func Compare(ctx context.Context, st *stage.Stage, from, to string) (Diff, error) {
	doc, err := state.LoadMachine(st.Dir())
	if err != nil {
		return Diff{}, err
	}
	b, err := doc.Find(to)
	if err != nil {
		return Diff{}, err
	}
	var a state.Found
	if from == "" {
		a, err = doc.Before(b)
	} else {
		a, err = doc.Find(from)
	}
	if err != nil {
		return Diff{}, err
	}
	return diff(ctx, st, a, b)
}

func diff(ctx context.Context, st *stage.Stage, a, b state.Found) (Diff, error) {
	d := Diff{From: ref(a), To: ref(b), Changes: []packages.Change{}}
	old, err := st.Deployment(a.Deployment)
	if err != nil {
		return d, err
	}
	new, err := st.Deployment(b.Deployment)
	if err != nil {
		return d, err
	}
	d.countLayers(old.Layers, new.Layers)
	before, err := inventory.Installed(ctx, st, old.Layers)
	if err != nil {
		return d, fmt.Errorf("compare %s:%d: %w", a.Image, a.N, err)
	}
	after, err := inventory.Installed(ctx, st, new.Layers)
	if err != nil {
		return d, fmt.Errorf("compare %s:%d: %w", b.Image, b.N, err)
	}
	d.Databases = len(before)+len(after) > 0
	d.Changes = append(d.Changes, packages.Compare(before, after)...)
	return d, nil
}

func ref(f state.Found) GenerationRef { return GenerationRef{f.Image, f.N, f.Deployment} }

func (d *Diff) countLayers(old, new []deployment.Object) {
	for _, l := range new {
		if slices.Contains(old, l) {
			d.Shared.add(l)
		} else {
			d.New.add(l)
		}
	}
	for _, l := range old {
		if !slices.Contains(new, l) {
			d.Gone.add(l)
		}
	}
}

func (c *LayerCount) add(l deployment.Object) { c.Layers, c.Bytes = c.Layers+1, c.Bytes+l.Size }
