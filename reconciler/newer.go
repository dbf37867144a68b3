package reconciler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/spec"
)

// A build may take an hour, and so may a registry. Meanwhile, the polling
// reconcile goes on looking at the config repo, and stops those builds whose
// result a newer revision does not want, or waiting for images that take long.

// A SupersededError says that a build was stopped, or not begun, because a
// newer revision wants another image or none. It is nobody's failure.
type SupersededError struct{ Revision string }

func (e *SupersededError) Error() string {
	return fmt.Sprintf("stopped: revision %s wants it otherwise", plan.Short(e.Revision))
}

// Is makes it a kind of cancelling.
func (e *SupersededError) Is(target error) bool { return target == context.Canceled }

func superseded(err error) bool {
	newer := (*SupersededError)(nil)
	return errors.As(err, &newer)
}

// lookOut looks for revisions other than the one seen and tells found, if this is a
// polling reconcile, until the function that it returns is called.
func lookOut(ctx context.Context, r *Reconciler, seen string, found func(*observation)) (end func()) {
	if r.every == 0 {
		return func() {}
	}
	ctx, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { lookAgain(ctx, r, seen, found) })
	return func() {
		stop()
		group.Wait()
	}
}

func lookAgain(ctx context.Context, r *Reconciler, seen string, found func(*observation)) {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		o, err := r.current(ctx)
		if err != nil {
			if ctx.Err() == nil {
				r.Log.Debug("cannot look for a newer revision", "error", err)
			}
			continue
		}
		if o.revision.Hash == seen {
			continue
		}
		seen = o.revision.Hash
		found(o)
	}
}

// compareRunning stops the builds that the newer revision does not want.
func (x *builder) compareRunning(newer *observation) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.latest = newer
	for b, stop := range x.running {
		if !wantsStill(newer, b) {
			x.newer = &SupersededError{newer.revision.Hash}
			x.Log.Info("stopping a build that a newer revision does not want", "image", b.want.Name, "revision", plan.Short(newer.revision.Hash))
			stop(x.newer)
		}
	}
}

// wantsStill reports whether a newer revision wants exactly what is being
// built, bases included.
func wantsStill(newer *observation, b *observedBuild) bool {
	order := buildOrder(newer.wants)
	i := slices.IndexFunc(order, func(w spec.Image) bool { return w.Name == b.want.Name })
	if i < 0 {
		return false
	}
	is := &observedBuild{want: order[i], parent: b.parent, state: b.state}
	wasBase, isBase := baseOf(b.want), baseOf(is.want)
	switch {
	case (b.parent == nil) != (is.want.Build.Base == nil || is.want.Build.Base.Build == nil),
		b.parent != nil && (is.want.Build.Base.Name != b.parent.want.Name || !wantsStill(newer, b.parent)),
		(wasBase == nil) != (isBase == nil):
		return false
	}
	if wasBase != nil {
		was, err := declaration(*wasBase)
		now, err2 := declaration(*isBase)
		if err != nil || err2 != nil || was != now {
			return false
		}
	}
	return is.prepareAs(newer) == nil && is.key().Equal(b.key())
}

// prepareAs prepares a build with the digests that its state knows.
func (b *observedBuild) prepareAs(o *observation) (err error) {
	if b.prepared, err = recipe.Prepare(b.recipe(o)); err != nil {
		return err
	}
	digests := map[string]string{}
	for _, ref := range b.prepared.References {
		digests[ref] = b.state.Named[ref].Digest // none, and the key is another
	}
	return b.prepared.Pin(digests, image.Pinned)
}

// begin notes that a build runs and gives the context that stops it. One that a
// newer revision does not want is not begun, nor any after others were stopped:
// the next run decides anew.
func (x *builder) begin(ctx context.Context, b *observedBuild) (context.Context, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.newer == nil && x.latest != nil && !wantsStill(x.latest, b) {
		x.newer = &SupersededError{x.latest.revision.Hash}
	}
	if x.newer != nil {
		return nil, x.newer
	}
	ctx, stop := context.WithCancelCause(ctx)
	x.running[b] = stop
	return ctx, nil
}

func (x *builder) end(b *observedBuild) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.running[b](nil)
	delete(x.running, b)
}
