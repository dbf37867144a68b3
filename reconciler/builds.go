package reconciler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/build"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/spec"
)

// BuildState is what is known of an image that was built here.
type BuildState struct {
	// Key is what the image was built from: an equal one builds nothing.
	Key build.Key `json:"key,omitempty"`
	// Base is what a base that is pulled or opened was resolved to. BaseID is
	// in the engine's store what it was when its digest was BaseDigest.
	Base       Source `json:"base,omitzero"`
	BaseID     string `json:"baseID,omitempty"`
	BaseDigest string `json:"baseDigest,omitempty"`
	// Named are what other images that steps name were resolved to, by their
	// references.
	Named map[string]Source `json:"named,omitempty"`
	// ID is the image in the engine's store; Content changes when children
	// have to be built again, Digest when its layers change.
	ID      string `json:"id,omitempty"`
	Content string `json:"content,omitempty"`
	Digest  string `json:"digest,omitempty"`
	// Layers are diff ids.
	Layers []string `json:"layers,omitempty"`
	// Epoch is the time that the files bear: that of the revision which
	// changed the key last.
	Epoch time.Time `json:"epoch,omitzero"`
	// Built is when it was built last, at Revision.
	Built    time.Time `json:"built,omitzero"`
	Revision string    `json:"revision,omitempty"`
	// Config is a hash of the configuration that is published, Made the build
	// that gave it and the layers.
	Config  string     `json:"config,omitempty"`
	Made    Made       `json:"made,omitzero"`
	Push    *PushState `json:"push,omitempty"`
	Failure *Failure   `json:"failure,omitempty"`
	// Packages is which of them changed with the last build, if that was found
	// out before it was staged.
	Packages *BuiltPackages `json:"packages,omitempty"`
}

// build returns a copy of what is known of an image's builds.
func (s *State) build(name string) *BuildState {
	if b := s.Builds[name]; b != nil {
		c := *b
		return &c
	}
	return &BuildState{}
}

func (s *State) setBuild(name string, b *BuildState) {
	if s.Builds == nil {
		s.Builds = map[string]*BuildState{}
	}
	s.Builds[name] = b
}

// An observedBuild is one image that is built here.
type observedBuild struct {
	want     spec.Image
	parent   *observedBuild // nil if the base is not built here
	prepared *build.Prepared
	state    *BuildState // never nil
	// base is the image that a base is pulled or opened as, if it is.
	base *spec.Image
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
	if b.prepared, err = build.Prepare(recipeOf(b.want, o)); err != nil {
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

// lookUp finds what an image that a build names means now, and asks for it anew
// when the build is due. What is known is kept when that fails.
func (r *Reconciler) lookUp(ctx context.Context, o *observation, b *observedBuild, known Source, img *spec.Image) (Source, error) {
	from := known
	if due(b.want.Build.Schedule, b.state.Built, r.Now()) && !r.rests(b.state.Failure) {
		from = Source{}
	}
	found, _, err := r.resolveImage(ctx, from, *img, o.files)
	if err != nil {
		return known, err
	}
	return found, nil
}

// pin puts digests to the images that steps name besides the base.
func (r *Reconciler) pin(ctx context.Context, o *observation, b *observedBuild) error {
	named, digests := map[string]Source{}, map[string]string{}
	for _, ref := range b.prepared.References {
		found, err := r.lookUp(ctx, o, b, b.state.Named[ref], pulled(b.want, ref))
		if err != nil {
			return fmt.Errorf("look up %s, which a fragment names: %w", ref, err)
		}
		named[ref], digests[ref] = found, found.Digest
	}
	b.state.Named = named
	return b.prepared.Pin(digests)
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

func (b *observedBuild) key() build.Key {
	s := build.Settings{Base: b.state.Base.Digest, Engine: b.engineName("")}
	if b.parent != nil {
		s.Base = b.parent.state.Content
	}
	return b.prepared.Key(s)
}

// baseDigest tells bases that the engine has not built itself apart: by what
// they hold, by what they were resolved to, or by the command that makes them.
func (b *observedBuild) baseDigest() string {
	if b.parent != nil {
		return b.parent.state.Content
	}
	if b.base != nil {
		return b.state.Base.Digest
	}
	return b.prepared.BootstrapHash()
}

// observeStores finds images that are needed and that the engine does not hold
// any more: those with layers to be staged, those to be published, and bases of
// what is built.
func (r *Reconciler) observeStores(ctx context.Context, o *observation) error {
	for _, b := range slices.Backward(o.builds) {
		if b.err != nil || len(b.reasons) > 0 {
			continue
		}
		layers, err := r.builtLayers(b.state)
		if err != nil {
			return err
		}
		wanted := slices.ContainsFunc(o.wants.Images, func(i spec.Image) bool { return i.Name == b.want.Name })
		lacks := wanted && slices.ContainsFunc(layers, func(l plan.Layer) bool { return !l.Staged })
		isBase := slices.ContainsFunc(o.builds, func(c *observedBuild) bool { return c.parent == b && len(c.reasons) > 0 })
		if !lacks && !isBase && r.pushReason(b) == "" {
			continue
		}
		engine, err := r.engine(b)
		if err != nil {
			return err
		}
		if _, err := engine.Image(ctx, b.state.ID); errors.Is(err, build.ErrGone) {
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

// builtLayers says which layers of a built image are on the stage.
func (r *Reconciler) builtLayers(s *BuildState) ([]plan.Layer, error) {
	var out []plan.Layer
	for _, diffID := range s.Layers {
		_, staged, err := r.stage.Layer(diffID, "")
		if err != nil {
			return nil, err
		}
		out = append(out, plan.Layer{DiffID: diffID, Staged: staged})
	}
	return out, nil
}

// baseOf returns a base that is pulled or opened, nil if it is none of these.
func baseOf(want spec.Image) *spec.Image {
	b := want.Build
	switch {
	case b.Base != nil && b.Base.Build == nil:
		return b.Base
	case b.FromRef != "":
		return pulled(want, b.FromRef)
	case b.FromArchive != nil:
		return &spec.Image{Name: want.Name, Archive: b.FromArchive}
	}
	return nil
}

// pulled is an image of a registry that a build names.
func pulled(want spec.Image, ref string) *spec.Image {
	p := want.Build.Pulled
	p.Ref = ref
	return &spec.Image{Name: want.Name, Pull: &p}
}

// recipeOf turns what spec says of a build into what the leaf renders.
func recipeOf(want spec.Image, o *observation) build.Recipe {
	b := want.Build
	return build.Recipe{
		Name: want.Name, FS: o.files, Scratch: b.Scratch && len(b.Bootstrap) == 0, Bootstrap: b.Bootstrap,
		Containerfiles: b.Containerfiles, Context: b.Context, Recipe: b.Recipe,
		Copy: convertAll(b.Copy, func(c spec.Copy) build.Copy { return build.Copy(c) }), Run: b.Run,
		Args: b.Args, Labels: b.Labels, Secrets: b.Secrets, Platform: b.Platform, RootfsFixes: b.RootfsFixes,
	}
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

// openBase opens a base that is pulled or in an archive.
func (r *Reconciler) openBase(ctx context.Context, o *observation, b *observedBuild) (*image.Image, error) {
	img, err := r.openImage(ctx, *b.base, b.state.Base.Digest, o.files)
	if missing := (*image.NotFoundError)(nil); errors.As(err, &missing) {
		return nil, fmt.Errorf("%s at %s is gone from its registry, and the engine's store does not hold it: %w; "+
			"push it there again, look up what the tag means now with --update, or name another base as from",
			b.base.Pull.Ref, plan.Short(b.state.Base.Digest), err)
	}
	return img, err
}
