package machine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/plan"
)

const (
	// atOneRegistry bounds how many images of one registry are fetched side by
	// side in that way; each takes some tens of megabytes.
	atOneRegistry = 3
)

// Turns fetch images, one after the other. One that takes longer than its turn
// goes on beside the next, and those that are through wait for none that is not:
// no registry holds up the images of others.
type turns struct {
	ctx           context.Context // ends them all
	stop          context.CancelCauseFunc
	fetch         func(context.Context, *staging) error
	turn, allowed time.Duration
	// stop tells that nobody wants to wait any more for what takes longer.
	stopped <-chan struct{}
	waiting []*staging
	running []*turn
}

// A turn is an image whose layers are on their way to the stage. What it finds
// out goes into a copy, which is looked at when done is closed: until then the
// others may be published.
type turn struct {
	of   *staging
	got  staging
	err  error
	done chan struct{}
}

func (t *turn) over() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// left reports whether an image is not through yet.
func (t *turns) left(image string) bool {
	return slices.ContainsFunc(t.waiting, func(s *staging) bool { return s.Image == image }) ||
		slices.ContainsFunc(t.running, func(f *turn) bool { return f.of.Image == image })
}

// next gives all that wait a turn, and returns those that are then through: one
// at least, none when nothing is left.
func (t *turns) next() (done []*turn) {
	for {
		i := slices.IndexFunc(t.waiting, t.free)
		if i < 0 {
			return t.come()
		}
		t.begin(t.waiting[i])
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
}

// free reports whether the registry of an image has room for it.
func (t *turns) free(s *staging) bool {
	busy := 0
	for _, f := range t.running {
		if f.of.registry() == s.registry() && !f.over() {
			busy++
		}
	}
	return busy < atOneRegistry
}

// registry is where an image's layers come from, "" if that is this machine.
func (s *staging) registry() string {
	if s.image.opened == nil {
		return ""
	}
	return s.image.opened.Registry
}

// begin fetches an image's layers, and waits as long as its turn lasts.
func (t *turns) begin(s *staging) {
	f := &turn{of: s, got: *s, done: make(chan struct{})}
	t.running = append(t.running, f)
	go func() {
		defer close(f.done)
		f.err = origin.InTime(t.ctx, t.allowed, func(ctx context.Context) error { return t.fetch(ctx, &f.got) })
	}()
	timer := time.NewTimer(cmp.Or(t.turn, origin.DefaultTurn))
	defer timer.Stop()
	select {
	case <-f.done:
	case <-timer.C:
	}
}

// come waits until one image is through, and takes all that are.
func (t *turns) come() (done []*turn) {
	if len(t.running) > 0 && !slices.ContainsFunc(t.running, (*turn).over) {
		t.await()
	}
	t.running = slices.DeleteFunc(t.running, func(f *turn) bool {
		over := f.over()
		if over {
			done = append(done, f)
		}
		return over
	})
	return done
}

// await waits for the first of those that take long, or until they are stopped.
func (t *turns) await() {
	select {
	case <-origin.First(t.running, func(f *turn) <-chan struct{} { return f.done }):
	case <-t.stopped:
		t.stop(ErrSuperseded)
		<-t.running[0].done
	}
}

// end ends what is still on its way.
func (t *turns) end() {
	t.stop(nil)
	for _, f := range t.running {
		<-f.done
	}
}

// ErrSuperseded says that a run did not wait for images that take long, because
// a newer revision changes something for this machine. It is nobody's failure.
var ErrSuperseded = errors.New("not waited for: a newer revision wants something else")

func newTurns(ctx context.Context, a *application, stop <-chan struct{}) *turns {
	t := &turns{fetch: fetcher{a}.fetchLayers, turn: a.Turn, allowed: a.Find.ImageTime, stopped: stop}
	t.ctx, t.stop = context.WithCancelCause(ctx)
	return t
}

// layers puts the layers of images on the stage. What is still on its way when
// others are through is put aside, for rest.
func (a *application) layers(ctx context.Context, list []plan.Action) error {
	a.announce()
	a.trace(list)
	for _, s := range a.stagings {
		if s.err == nil && s.Ready == "" {
			a.turns.waiting = append(a.turns.waiting, s)
		}
	}
	err := a.take(ctx, a.turns.next())
	a.stagings = slices.DeleteFunc(a.stagings, func(s *staging) bool {
		late := a.turns.left(s.Image)
		if late {
			a.Log.Info("an image takes long; the others are published first", "image", s.Image)
		}
		return late
	})
	return err
}

// take gives images the layers that have come, or the errors.
func (a *application) take(ctx context.Context, done []*turn) error {
	if cause := context.Cause(a.turns.ctx); errors.Is(cause, ErrSuperseded) {
		return cause
	}
	errs := map[*staging]error{}
	for _, f := range done {
		*f.of, errs[f.of] = f.got, f.err
	}
	return a.each(ctx, "stage layers", func(_ context.Context, s *staging) error { return errs[s] })
}

// rest publishes the images that took longer as they come, with the steps of the
// others.
func (a *application) rest(ctx context.Context, publish func(context.Context) error) error {
	for len(a.turns.waiting)+len(a.turns.running) > 0 {
		a.published = append(a.published, a.stagings...)
		a.stagings = nil
		done := a.turns.next()
		for _, f := range done {
			a.stagings = append(a.stagings, f.of)
		}
		if err := a.take(ctx, done); err != nil {
			return err
		}
		if err := publish(ctx); err != nil {
			return err
		}
	}
	return nil
}
