package reconciler

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/gitboot/gitboot/image/packages"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/initramfs/handoff"
)

// A treeRoot lets package databases be read from staged layers.
type treeRoot struct{ tree *initramfs.Tree }

func (r treeRoot) ReadDir(path string) ([]string, error) { return r.tree.ReadDir(path) }

func (r treeRoot) ReadFile(path string, limit int64) ([]byte, error) {
	f, err := r.tree.OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readLimited(f, limit)
}

func readLimited(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it is larger than %d bytes", limit)
	}
	return data, err
}

// installed returns the packages that some layers hold together.
func (r *Reconciler) installed(layers []handoff.Object) ([]packages.Package, error) {
	paths := make([]string, len(layers))
	for i, obj := range layers {
		paths[i] = r.stage.ObjectPath(obj)
	}
	tree, err := initramfs.OpenTree(paths)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	return packages.Read(treeRoot{tree})
}

// packages notes, for people, which packages differ from the generation
// before. It fails no image: whether a database can be read decides nothing.
func (a *application) packages(ctx context.Context) error {
	return a.each(ctx, "compare packages", func(_ context.Context, s *staging) error {
		before := a.state.Images[s.Image].newest()
		if before == nil {
			return nil
		}
		if s.packages = a.notedPackages(s.Image, before.Deployment, s.layers); s.packages != nil {
			a.plan.SetPackages(s.Image, s.packages.String())
			a.Log.Info("compared packages", "image", s.Image, "generation", s.Generation, "packages", s.packages.Count)
		}
		return nil
	})
}

// notedPackages is changedPackages where it may fail.
func (r *Reconciler) notedPackages(image, deployment string, layers []handoff.Object) *packages.Summary {
	s, err := r.changedPackages(deployment, layers)
	if err != nil {
		r.Log.Warn("which packages changed is not known", "image", image, "error", err)
	}
	return s
}

// changedPackages compares a deployment's packages with those of layers. It is
// nil where nothing can have changed, and where there is no database.
func (r *Reconciler) changedPackages(deployment string, layers []handoff.Object) (*packages.Summary, error) {
	m, err := r.stage.Deployment(deployment)
	if err != nil || slices.Equal(m.Layers, layers) {
		return nil, err
	}
	before, err := r.installed(m.Layers)
	if err != nil {
		return nil, err
	}
	after, err := r.installed(layers)
	if err != nil || len(before)+len(after) == 0 {
		return nil, err
	}
	s := packages.Summarize(packages.Compare(before, after))
	return &s, nil
}

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
func (r *Reconciler) Diff(from, to string) (Diff, error) {
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
	return r.diff(a, b)
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

func (r *Reconciler) diff(a, b Found) (Diff, error) {
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
	before, err := r.installed(old.Layers)
	if err != nil {
		return d, fmt.Errorf("compare %s:%d: %w", a.Image, a.N, err)
	}
	after, err := r.installed(new.Layers)
	if err != nil {
		return d, fmt.Errorf("compare %s:%d: %w", b.Image, b.N, err)
	}
	d.Databases = len(before)+len(after) > 0
	d.Changes = append(d.Changes, packages.Compare(before, after)...)
	return d, nil
}

func (f Found) ref() GenerationRef { return GenerationRef{f.Image, f.N, f.Deployment} }

func (d *Diff) countLayers(old, new []handoff.Object) {
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

func (c *LayerCount) add(l handoff.Object) { c.Layers, c.Bytes = c.Layers+1, c.Bytes+l.Size }
