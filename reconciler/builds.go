package reconciler

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/spec"
)

// An observedBuild is one image that is built here.
type observedBuild struct {
	want     spec.Image
	parent   *observedBuild // nil if the base is not built here
	prepared *recipe.Prepared
	state    *BuildState // never nil
	// base is the image that a base is pulled or opened as, if it is.
	base *spec.Image
	// blobs are the layers of an opened base as its registry has them. They are
	// verified once the base was imported.
	blobs map[string]image.Blob
	// reasons say why it is to be built; none, and it is not. fresh builds
	// without cache.
	reasons []string
	fresh   bool
	// forced is built whatever its parent becomes; ran was built by this run.
	forced, ran bool
	err         error
	// lost says why what was published is to be published again; pushed was by
	// this run, unless it failed with pushErr.
	lost    string
	pushed  bool
	pushErr error
	done    chan struct{} // closed when its build has ended, one way or another
}

func (o *observation) build(name string) *observedBuild {
	i := slices.IndexFunc(o.builds, func(b *observedBuild) bool { return b.want.Name == name })
	if i < 0 {
		return nil
	}
	return o.builds[i]
}

// building reports whether the image is built before it is staged.
func (i *observedImage) building() bool { return i.build != nil && len(i.build.reasons) > 0 }

// buildOrder returns the images that are built here, parents first: those that
// the machine boots, those that it builds for others, and their bases.
func buildOrder(wants *spec.Wants) []spec.Image {
	var out []spec.Image
	var add func(spec.Image)
	add = func(img spec.Image) {
		if img.Build == nil || slices.ContainsFunc(out, func(o spec.Image) bool { return o.Name == img.Name }) {
			return
		}
		if img.Build.Base != nil {
			add(*img.Build.Base)
		}
		out = append(out, img)
	}
	for _, img := range slices.Concat(wants.Images, wants.Builds) {
		add(img)
	}
	return out
}

// observeBuilds finds out which images have to be built, and why. Nothing is
// built and no engine is asked to do anything.
func (r *Reconciler) observeBuilds(ctx context.Context, o *observation) error {
	o.builds = nil
	for _, want := range buildOrder(o.wants) {
		b := &observedBuild{want: want, state: o.state.build(want.Name), done: make(chan struct{})}
		if want.Build.Base != nil {
			b.parent = o.build(want.Build.Base.Name)
		}
		b.err = r.observeBuild(ctx, o, b)
		o.builds = append(o.builds, b)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	r.observePushes(ctx, o)
	return r.observeStores(ctx, o)
}

func (r *Reconciler) observeBuild(ctx context.Context, o *observation, b *observedBuild) (err error) {
	if _, err := r.engine(b); err != nil {
		return err
	}
	if b.prepared, err = recipe.Prepare(b.recipe(o)); err != nil {
		return err
	}
	if b.parent != nil && b.parent.err != nil {
		return &ParentError{b.parent.want.Name}
	}
	if b.base = baseOf(b.want); b.base != nil {
		if b.state.Base, err = r.lookUp(ctx, o, b, b.state.Base, b.base); err != nil {
			return fmt.Errorf("look up the base %s: %w", b.want.Build.From, err)
		}
	}
	if err := r.pin(ctx, o, b); err != nil {
		return err
	}
	r.decide(b)
	if b.parent != nil && len(b.parent.reasons) > 0 {
		return nil // what it is built from is not known yet
	}
	return r.retry(b)
}

// decide finds the reasons to build. If the parent is built first, what it
// becomes is not known yet, and it is decided again after that.
func (r *Reconciler) decide(b *observedBuild) {
	b.reasons, b.fresh = nil, b.want.Build.NoCache
	switch {
	case b.state.Key == nil:
		b.forced, b.reasons = true, []string{"it was not built yet"}
	case due(b.want.Build.Schedule, b.state.Built, r.Now()):
		b.forced, b.fresh, b.reasons = true, true, []string{"schedule " + b.want.Build.Schedule + " is due"}
	default:
		b.reasons = b.key().Differences(b.state.Key)
	}
	if b.parent != nil && len(b.parent.reasons) > 0 && len(b.reasons) == 0 {
		b.reasons = []string{"its base image:" + b.parent.want.Name + " is built; not needed if that comes out the same"}
	}
}

func (b *observedBuild) key() recipe.Key {
	s := recipe.Settings{Base: b.state.Base.Digest, Engine: b.engineName("")}
	if b.parent != nil {
		s.Base = b.parent.state.Content
	}
	return b.prepared.Key(s)
}

// observeStores finds images that are needed and that the engine does not hold
// any more: those with layers to be staged, those to be published, and bases of
// what is built.
func (r *Reconciler) observeStores(ctx context.Context, o *observation) error {
	for _, b := range slices.Backward(o.builds) {
		if b.err != nil || len(b.reasons) > 0 {
			continue
		}
		layers, err := r.plannedLayers(builtLayers(b.state))
		if err != nil {
			return err
		}
		wanted := slices.ContainsFunc(o.wants.Images, func(i spec.Image) bool { return i.Name == b.want.Name })
		lacks := wanted && slices.ContainsFunc(layers, func(l plan.Layer) bool { return !l.Staged })
		isBase := slices.ContainsFunc(o.builds, func(c *observedBuild) bool { return c.parent == b && len(c.reasons) > 0 })
		if !lacks && !isBase && r.pushReason(b) == "" {
			continue
		}
		e, err := r.engine(b)
		if err != nil {
			return err
		}
		if _, err := e.Image(ctx, b.state.ID); errors.Is(err, engine.ErrGone) {
			b.forced, b.reasons = true, []string{"the engine's store does not hold it any more"}
		} else if err != nil {
			return err
		}
	}
	for _, b := range o.builds {
		if b.err == nil && len(b.reasons) == 0 {
			r.decide(b) // a base may be built after all
		}
	}
	return nil
}

// builtLayers are a built image's.
func builtLayers(s *BuildState) (out []image.Layer) {
	for _, diffID := range s.Layers {
		out = append(out, image.Layer{DiffID: diffID})
	}
	return out
}

// recipe turns what spec says of a build into what is rendered.
func (b *observedBuild) recipe(o *observation) recipe.Recipe {
	w := b.want.Build
	var copies []recipe.Copy
	for _, c := range w.Copy {
		copies = append(copies, recipe.Copy(c))
	}
	out := recipe.Recipe{
		Name: b.want.Name, FS: o.files, Scratch: w.Scratch && len(w.Bootstrap) == 0, Bootstrap: w.Bootstrap,
		Containerfiles: w.Containerfiles, Context: w.Context, Recipe: w.Recipe,
		Copy: copies, Run: w.Run,
		Args: w.Args, Labels: w.Labels, Secrets: w.Secrets, Platform: w.Platform, RootfsFixes: w.RootfsFixes,
	}
	if b.parent != nil && b.parent.prepared != nil {
		out.BaseUser = b.parent.prepared.User
	}
	return out
}

// planBuilds adds the builds to the plan, and what became of them to its
// failures.
func (r *Reconciler) planBuilds(o *observation) {
	for _, b := range o.builds {
		switch {
		case b.err != nil:
			o.plan.Failed[b.want.Name] = b.err
		case len(b.reasons) > 0:
			o.plan.Builds = append(o.plan.Builds, plan.Build{Image: b.want.Name, Reasons: b.reasons})
		}
	}
	r.planPushes(o)
}

// foreseeBuilds notes what is known of builds, and forgets those that nothing
// wants any more.
func (r *Reconciler) foreseeBuilds(o *observation) {
	before := o.next.Builds
	o.next.Builds = map[string]*BuildState{}
	for _, b := range o.builds {
		state := *b.state
		if old := before[b.want.Name]; old != nil {
			state.Failure = old.Failure
		}
		state.Failure = newFailure(state.Failure, b.err, r.Now().UTC())
		if b.want.Build.Push == nil {
			state.Push = nil
		}
		o.next.Builds[b.want.Name] = &state
	}
}
