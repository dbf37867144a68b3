package reconciler

import (
	"context"
	"fmt"
	"slices"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/rootfs/packages"
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

// Diff compares two generations, named as for Find. Without from it is the one
// before to.
func (r *Reconciler) Diff(ctx context.Context, from, to string) (Diff, error) {
	state, err := LoadState(r.Stage)
	if err != nil {
		return Diff{}, err
	}
	b, err := state.Find(to)
	if err != nil {
		return Diff{}, err
	}
	var a Found
	if from == "" {
		a, err = state.before(b)
	} else {
		a, err = state.Find(from)
	}
	if err != nil {
		return Diff{}, err
	}
	return r.diff(ctx, a, b)
}

// before returns the generation before one of the same image.
func (s *State) before(f Found) (Found, error) {
	generations := s.Images[f.Image].Generations
	i := slices.IndexFunc(generations, func(g Generation) bool { return g.N == f.N })
	if i <= 0 {
		return Found{}, fmt.Errorf("compare %s:%d: the stage has no generation before it; name two to compare, `gitboot boot list` shows those on the stage", f.Image, f.N)
	}
	return Found{f.Image, generations[i-1]}, nil
}

func (r *Reconciler) diff(ctx context.Context, a, b Found) (Diff, error) {
	d := Diff{From: a.ref(), To: b.ref(), Changes: []packages.Change{}}
	old, err := r.stage.Deployment(a.Deployment)
	if err != nil {
		return d, err
	}
	new, err := r.stage.Deployment(b.Deployment)
	if err != nil {
		return d, err
	}
	d.countLayers(old.Layers, new.Layers)
	before, err := r.installed(ctx, old.Layers)
	if err != nil {
		return d, fmt.Errorf("compare %s:%d: %w", a.Image, a.N, err)
	}
	after, err := r.installed(ctx, new.Layers)
	if err != nil {
		return d, fmt.Errorf("compare %s:%d: %w", b.Image, b.N, err)
	}
	d.Databases = len(before)+len(after) > 0
	d.Changes = append(d.Changes, packages.Compare(before, after)...)
	return d, nil
}

func (f Found) ref() GenerationRef { return GenerationRef{f.Image, f.N, f.Deployment} }

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
