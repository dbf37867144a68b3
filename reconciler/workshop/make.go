package workshop

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/relayer"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// atOnce bounds how many images are built side by side.
const atOnce = 2

// cleanupTime bounds the removal of what cut builds have left.
const cleanupTime = 30 * time.Second

// A maker has engines build what a job has to.
type maker struct{ *Job }

// buildAll builds every image that has a reason to be, parents before their
// children. Each image's failure is its own; only the end of ctx ends it all.
func (j maker) buildAll(ctx context.Context) (err error) {
	engines := j.working(ctx)
	if stored := storing(j); len(engines) > 0 {
		if err := stored.begin(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stored.end()) }()
	}
	if err := errors.Join(clean(ctx, engines), relayer.Open(j.EngineDir).Clean(ctx)); err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, b := range j.builds {
		group.Go(func() error {
			defer close(b.done)
			j.one(ctx, b)
			return nil
		})
	}
	group.Wait() // the goroutines return none
	if slices.ContainsFunc(j.builds, func(b *build) bool { return b.err != nil }) {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		err = clean(late, j.working(late))
	}
	if err = errors.Join(ctx.Err(), err); err == nil && j.halt.stopped {
		err = ErrSuperseded
	}
	if err == nil {
		j.collectCaches(ctx)
		j.compareBuilds(ctx)
	}
	return err
}

// working are the engines that are to be used, and work. One that does not fails its
// images, and no others.
func (j maker) working(ctx context.Context) (all []engine.Engine) {
	seen := map[string]bool{}
	for _, b := range j.builds {
		e, err := j.engine(b)
		if err != nil || len(b.verdict.Reasons) == 0 || seen[e.Name()] {
			continue
		}
		if seen[e.Name()] = true; e.Check(ctx) == nil {
			all = append(all, e)
		}
	}
	return all
}

// clean removes what cut builds have left in engines.
func clean(ctx context.Context, engines []engine.Engine) error {
	for _, e := range engines {
		if err := e.Clean(ctx); err != nil {
			return err
		}
	}
	return nil
}

// one builds an image when its parent has been.
func (j maker) one(ctx context.Context, b *build) {
	if b.parent != nil {
		<-b.parent.done // always comes: the parent was started before
		j.afterParent(b)
	}
	if b.err != nil || len(b.verdict.Reasons) == 0 {
		return
	}
	if ctx, b.err = j.halt.begin(ctx, b); b.err != nil {
		return
	}
	defer j.halt.end(b)
	j.trace(plan.Action{Kind: plan.BuildImage, Image: b.want.Name, Reason: strings.Join(b.verdict.Reasons, "; ")})
	task := progress.StartBuild(j.Progress, b.want.Name, strings.Join(b.verdict.Reasons, "; "))
	b.err = j.execute(ctx, b, task)
	task.End(cmp.Or(ctx.Err(), b.err)) // who stopped it is told elsewhere
	switch {
	case errors.Is(context.Cause(ctx), ErrSuperseded) && b.err != nil:
		b.err = ErrSuperseded
		return
	case b.err != nil:
		b.err = errors.Join(b.err, j.failed(ctx, b))
		return
	}
	b.why, b.verdict.Reasons, b.ran = b.verdict.Reasons, nil, true
	j.Log.Debug("built", "image", b.want.Name, "digest", plan.Short(b.state.Digest))
	if j.req.Ready != nil {
		j.req.Ready()
	}
}

// afterParent decides anew, now that it is known what the parent became.
func (j maker) afterParent(b *build) {
	switch {
	case b.err != nil:
	case errors.Is(b.parent.err, ErrSuperseded):
		b.err = ErrSuperseded
	case b.parent.err != nil:
		b.err = &ParentError{b.parent.want.Name}
	}
	if b.err == nil && !b.verdict.Forced {
		b.decide(j.Now())
	}
}

// failed notes a failure, unless the build was stopped.
func (j maker) failed(ctx context.Context, b *build) error {
	if ctx.Err() != nil {
		return nil
	}
	b.tried(b.err, j.now())
	if f := b.state.Failure; b.patient {
		j.Log.Warn("build failed; the image stays as it is", "image", b.want.Name, "attempts", f.Attempts, "next", f.Next)
	}
	return j.save(b)
}
