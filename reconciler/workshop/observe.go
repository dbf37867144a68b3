package workshop

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// A looker finds out what a job has to do.
type looker struct{ *Job }

// observe finds out which images have to be built, and why. Nothing is built and
// no engine is asked to do anything.
func (j looker) observe(ctx context.Context) error {
	for _, want := range Order(j.Wants) {
		b := &build{want: want, machine: j.Wants.Machine, state: j.doc.Build(want.Name), patient: j.req.Patient, done: make(chan struct{})}
		b.due = j.Find.Due(want.Build.Schedule, b.state.Built)
		if want.Build.Base != nil {
			b.parent = j.build(want.Build.Base.Name)
		}
		if err := j.observeBuild(ctx, b); err != nil {
			b.err = err
		}
		j.builds = append(j.builds, b)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	j.observePushes(ctx)
	return j.observeStores(ctx)
}

func (j looker) observeBuild(ctx context.Context, b *build) (err error) {
	if _, err := j.engine(b); err != nil {
		return err
	}
	if b.prepared, err = recipe.Prepare(b.recipe(j.Wanted)); err != nil {
		return err
	}
	if b.parent != nil && b.parent.err != nil {
		return &ParentError{b.parent.want.Name}
	}
	if err := j.observeNamed(ctx, b); err != nil {
		return err
	}
	b.decide(j.Now())
	return b.err
}

// observeNamed looks up what a build is made from. What could not be is left alone
// for a while.
func (j looker) observeNamed(ctx context.Context, b *build) (err error) {
	if b.patient {
		if err := b.state.Failure.Rests(b.lookupKey(), j.Now()); err != nil {
			return err
		}
	}
	defer func() { b.sought = err != nil }()
	if b.base = baseOf(b.want); b.base != nil {
		if b.state.Base, err = j.lookUp(ctx, b, b.state.Base, b.base); err != nil {
			return fmt.Errorf("look up the base %s: %w", b.want.Build.From, err)
		}
	}
	return j.pin(ctx, b)
}

// observeStores finds images that are needed and that the engine does not hold
// any more: those with layers to be staged, those to be published, and bases of
// what is built.
func (j looker) observeStores(ctx context.Context) error {
	for _, b := range slices.Backward(j.builds) {
		if b.err != nil || len(b.verdict.Reasons) > 0 {
			continue
		}
		needed, err := j.needed(b)
		if err != nil || !needed {
			if err != nil {
				return err
			}
			continue
		}
		err = j.holds(ctx, b)
		if b.gone = errors.Is(err, engine.ErrGone); err != nil && !b.gone {
			return err
		}
		b.decide(j.Now())
	}
	for _, b := range j.builds {
		if b.err == nil && len(b.verdict.Reasons) == 0 {
			b.decide(j.Now()) // a base may be built after all
		}
	}
	return nil
}

// needed reports whether what was built has to be in the engine's store.
func (j looker) needed(b *build) (bool, error) {
	if j.pushReason(b) != "" || slices.ContainsFunc(j.builds, func(c *build) bool { return c.parent == b && len(c.verdict.Reasons) > 0 }) {
		return true, nil
	}
	if !slices.ContainsFunc(j.Wants.Images, func(i spec.Image) bool { return i.Name == b.want.Name }) {
		return false, nil
	}
	staged, err := j.Stage.Layers(LayerIDs(b.state))
	return slices.Contains(staged, deployment.Object{}), err
}

// LayerIDs name the layers of what was built, as the stage knows them.
func LayerIDs(s *state.Build) (ids []stage.LayerID) {
	for _, diffID := range s.Layers {
		ids = append(ids, stage.LayerID{DiffID: diffID})
	}
	return ids
}

// choose keeps the builds that are asked for, and their bases.
func (j looker) choose() error {
	for _, name := range j.req.Names {
		if j.build(name) == nil {
			return j.notBuilt(name)
		}
	}
	j.chosen = true
	keep := map[*build]bool{}
	for _, b := range j.builds {
		if !j.req.All && !slices.Contains(j.req.Names, b.want.Name) {
			continue
		}
		if b.err == nil && j.req.NoCache {
			b.verdict.Forced, b.verdict.Fresh, b.verdict.Reasons = true, true, []string{"asked for without cache"}
		}
		for at := b; at != nil; at = at.parent {
			keep[at] = true
		}
	}
	j.builds = slices.DeleteFunc(j.builds, func(b *build) bool { return !keep[b] })
	return nil
}

// notBuilt says why an image cannot be built here.
func (j *Job) notBuilt(name string) error {
	var known []string
	for _, b := range j.builds {
		known = append(known, b.want.Name)
	}
	slices.Sort(known)
	err := &state.NameError{None: fmt.Sprintf("machine %q builds no image", j.Wants.Machine), Name: name, Known: known}
	for _, img := range j.Wants.Images {
		if img.Name == name {
			err.Remedy = "it is pulled here; if it is declared with build, the machine's builds can name it"
		}
	}
	return err
}

// Render returns the Containerfile that building an image executes. No engine is
// needed for it, and of registries only those of images that steps name.
func (s *Shop) Render(ctx context.Context, w *wanted.Wanted, name string) ([]byte, error) {
	doc, err := state.LoadWorkshop(s.Stage.Dir())
	if err != nil {
		return nil, err
	}
	j := &Job{Shop: *s, Wanted: w, doc: doc}
	for _, want := range Order(w.Wants) {
		b := &build{want: want, state: doc.Build(want.Name)}
		b.due = j.Find.Due(want.Build.Schedule, b.state.Built)
		if want.Build.Base != nil {
			b.parent = j.build(want.Build.Base.Name)
		}
		b.prepared, b.err = recipe.Prepare(b.recipe(w))
		if want.Name == name {
			if b.err == nil {
				b.err = looker{j}.pin(ctx, b)
			}
			return b.containerfile()
		}
		j.builds = append(j.builds, b)
	}
	return nil, j.notBuilt(name)
}

func (b *build) containerfile() ([]byte, error) {
	if b.prepared == nil {
		return nil, b.err
	}
	return b.prepared.Containerfile, b.err
}
