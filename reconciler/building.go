package reconciler

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/stage"
)

// buildsAtOnce bounds how many images are built side by side.
const buildsAtOnce = 2

// cleanupTime bounds the removal of what cut builds have left.
const cleanupTime = 30 * time.Second

// builds makes the images that are to be made, and then plans again: only now
// is it known what they became.
func (a *application) builds(ctx context.Context) error {
	planned := a.plan.Builds
	if len(planned) == 0 {
		return nil
	}
	if err := a.buildAll(ctx, a.observation); err != nil {
		return err
	}
	o := a.observation
	var err error
	if o.next, err = o.state.clone(); err != nil {
		return err
	}
	for _, img := range o.images {
		if img.build != nil {
			o.images[img.want.Name] = a.observeImage(ctx, o, img.want)
		}
	}
	if err := a.compare(ctx, o); err != nil {
		return err
	}
	o.plan.Builds = slices.DeleteFunc(planned, func(p plan.Build) bool { return !a.built(o.build(p.Image)) })
	a.stagings = newStagings(o)
	return nil
}

// built reports whether an image was built by this run.
func (a *application) built(b *observedBuild) bool { return b.err == nil && b.ran }

// A builder builds the images of one run.
type builder struct {
	*Reconciler
	o  *observation
	mu sync.Mutex // guards what follows, and the state
	// running are the builds under way and how they are stopped; latest is what
	// a newer revision wants, nil without one; newer says that a build was
	// stopped, or not begun, because of it.
	running map[*observedBuild]context.CancelCauseFunc
	latest  *observation
	newer   *SupersededError
}

// buildAll builds every image that has a reason to be, parents before their
// children. Each image's failure is its own; only the end of ctx ends it all.
func (r *Reconciler) buildAll(ctx context.Context, o *observation) (err error) {
	if err := r.cleanEngines(ctx, o); err != nil {
		return err
	}
	x := &builder{Reconciler: r, o: o, running: map[*observedBuild]context.CancelCauseFunc{}}
	unwatch := lookOut(ctx, r, o.revision.Hash, x.compareRunning)
	var group errgroup.Group
	group.SetLimit(buildsAtOnce)
	for _, b := range o.builds {
		group.Go(func() error {
			defer close(b.done)
			x.one(ctx, b)
			return nil
		})
	}
	group.Wait() // the goroutines return none
	unwatch()
	if slices.ContainsFunc(o.builds, func(b *observedBuild) bool { return b.err != nil }) {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		err = r.cleanEngines(clean, o)
	}
	if x.newer != nil {
		err = errors.Join(x.newer, err)
	}
	if ctx.Err() == nil && err == nil {
		r.collectCaches(ctx, o)
	}
	return errors.Join(ctx.Err(), err)
}

// cleanEngines removes what cut builds have left in the engines that are to be
// used. An engine that does not work fails its images, and no others.
func (r *Reconciler) cleanEngines(ctx context.Context, o *observation) error {
	cleaned := map[string]bool{}
	for _, b := range o.builds {
		engine, err := r.engine(b)
		if err != nil || len(b.reasons) == 0 || cleaned[engine.Name()] {
			continue
		}
		cleaned[engine.Name()] = true
		if engine.Check(ctx) != nil {
			continue // it is the images that fail of it
		}
		if err := engine.Clean(ctx); err != nil {
			return err
		}
	}
	return nil
}

// one builds an image when its parent has been.
func (x *builder) one(ctx context.Context, b *observedBuild) {
	if b.parent != nil {
		<-b.parent.done // always comes: the parent was started before
		if b.err == nil && b.parent.err != nil {
			b.err = &ParentError{b.parent.want.Name}
		}
		if b.err == nil && !b.forced {
			x.decide(b) // anew, now that it is known what the parent became
		}
		if b.err == nil {
			b.err = x.retry(b)
		}
	}
	if b.err != nil || len(b.reasons) == 0 {
		return
	}
	if ctx, b.err = x.begin(ctx, b); b.err != nil {
		return
	}
	defer x.end(b)
	reason := strings.Join(b.reasons, "; ")
	task := progress.StartBuild(x.Progress, b.want.Name, reason)
	b.err = x.build(ctx, b, task)
	task.End(b.err)
	if b.err != nil {
		if err := x.failed(ctx, b); err != nil {
			b.err = errors.Join(b.err, err)
		}
		return
	}
	b.reasons, b.ran = nil, true
	x.Log.Debug("built", "image", b.want.Name, "digest", plan.Short(b.state.Digest))
}

// failed notes a failure, unless the build was stopped.
func (x *builder) failed(ctx context.Context, b *observedBuild) error {
	if ctx.Err() != nil {
		return nil
	}
	b.tried(b.err, x.Now().UTC().Truncate(time.Second))
	if f := b.state.Failure; x.patient {
		x.Log.Warn("build failed; the image stays as it is", "image", b.want.Name, "attempts", f.Attempts, "next", f.Next)
	}
	return x.save(b)
}

// stageBuilt puts the layers of a built image on the stage, straight from the
// engine's store.
func (a *application) stageBuilt(ctx context.Context, s *staging) error {
	b := s.image.build
	engine, err := a.engine(b)
	if err != nil {
		return err
	}
	ids := layerIDs(builtLayers(b.state))
	if s.layers, err = a.stage.Layers(ids); err != nil || !slices.Contains(s.layers, deployment.Object{}) {
		return err
	}
	stored, err := engine.Image(ctx, b.state.ID)
	if err != nil {
		return err
	}
	var sources []stage.Source
	for _, l := range stored.Layers {
		sources = append(sources, stage.Source{DiffID: l.DiffID, Name: s.Image, Size: l.Size, Open: l.Open, Progress: a.Progress})
	}
	s.layers, err = a.stage.AddLayers(ctx, sources, 1)
	return err
}
