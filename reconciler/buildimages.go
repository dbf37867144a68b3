package reconciler

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/rootfs/packages"
)

// BuildRequest names images to be built.
type BuildRequest struct {
	// Names are of images that this machine builds; All means all of them.
	Names []string
	All   bool
	// NoCache builds the named images even if nothing changed, every step.
	NoCache bool
	// NoPush publishes nothing.
	NoPush bool
}

// A BuildResult is what became of one image.
type BuildResult struct {
	Image string
	// Built says that it was built now; else it was up to date, or failed.
	Built  bool
	Digest string
	// Pushed says that it was published now, PushErr why it could not be.
	Pushed  bool
	PushErr error
	// Packages is how they differ from the newest generation on the stage, nil
	// if that is not known.
	Packages *packages.Summary
	Err      error
}

// BuildImages builds images and the bases that they need, and stages nothing.
// The results are in the order of building; failures are in them.
func (r *Reconciler) BuildImages(ctx context.Context, req BuildRequest) (results []BuildResult, err error) {
	lock, err := r.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if err := r.stage.Clean(); err != nil {
		return nil, err
	}
	o, err := r.wanted(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.observeBuilds(ctx, o); err != nil {
		return nil, err
	}
	if err := o.choose(req); err != nil {
		return nil, err
	}
	if err := r.observeStores(ctx, o); err != nil {
		return nil, err
	}
	if err := r.buildAll(ctx, o); err != nil {
		return nil, err
	}
	r.compareBuilds(ctx, o)
	for _, b := range o.builds {
		results = append(results, BuildResult{Image: b.want.Name, Built: b.ran, Digest: b.state.Digest, Packages: o.state.newPackages(b.want.Name), Err: b.err})
		if known := o.state.Builds[b.want.Name]; known != nil || b.err != nil {
			state := o.state.build(b.want.Name)
			state.Failure = newFailure(state.Failure, b.err, r.Now().UTC())
			o.state.setBuild(b.want.Name, state)
		}
	}
	if err := o.state.Save(r.Stage); err != nil || req.NoPush {
		return results, err
	}
	err = r.pushAll(ctx, o, o.state)
	for i, b := range o.builds {
		results[i].Pushed, results[i].PushErr = b.pushed, b.pushErr
	}
	return results, err
}

// wanted reads the config repo's current revision.
func (r *Reconciler) wanted(ctx context.Context) (*observation, error) {
	state, err := LoadState(r.Stage)
	if err != nil {
		return nil, err
	}
	o := &observation{state: state, images: map[string]*observedImage{}}
	if o.files, err = r.fetch(ctx, o); err != nil {
		return nil, err
	}
	o.wants, err = r.resolve(ctx, o.files)
	return o, err
}

// choose keeps the builds that are asked for, and their bases.
func (o *observation) choose(req BuildRequest) error {
	for _, name := range req.Names {
		if o.build(name) == nil {
			return o.notBuilt(name)
		}
	}
	keep := map[*observedBuild]bool{}
	for _, b := range o.builds {
		if !req.All && !slices.Contains(req.Names, b.want.Name) {
			continue
		}
		if b.err == nil && req.NoCache {
			b.forced, b.fresh, b.reasons = true, true, []string{"asked for without cache"}
		}
		for at := b; at != nil; at = at.parent {
			keep[at] = true
		}
	}
	o.builds = slices.DeleteFunc(o.builds, func(b *observedBuild) bool { return !keep[b] })
	return nil
}

// notBuilt says why an image cannot be built here.
func (o *observation) notBuilt(name string) error {
	var known []string
	for _, b := range o.builds {
		known = append(known, b.want.Name)
	}
	slices.Sort(known)
	err := &NameError{None: fmt.Sprintf("machine %q builds no image", o.wants.Machine), Name: name, Known: known}
	for _, img := range o.wants.Images {
		if img.Name == name {
			err.Remedy = "it is pulled here; if it is declared with build, the machine's builds can name it"
		}
	}
	return err
}

// RenderImage returns the Containerfile that building an image executes.
func (r *Reconciler) RenderImage(ctx context.Context, name string) ([]byte, error) {
	o, err := r.wanted(ctx)
	if err != nil {
		return nil, err
	}
	for _, want := range buildOrder(o.wants) {
		b := &observedBuild{want: want, state: o.state.build(want.Name)}
		if want.Build.Base != nil {
			b.parent = o.build(want.Build.Base.Name)
		}
		b.prepared, b.err = recipe.Prepare(b.recipe(o))
		if want.Name == name {
			if b.err != nil {
				return nil, b.err
			}
			err = r.pin(ctx, o, b)
			return b.prepared.Containerfile, err
		}
		o.builds = append(o.builds, b)
	}
	return nil, o.notBuilt(name)
}
