package reconciler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// defaultTurn is how long an image's layers may take before the next image's
	// are begun beside them: most are through by then.
	defaultTurn = 2 * time.Minute
	// atOneRegistry bounds how many images of one registry are fetched side by
	// side in that way; each takes some tens of megabytes.
	atOneRegistry = 3
	// defaultImageTime is when an image's layers are given up.
	defaultImageTime = 12 * time.Hour
)

var errTooLong = errors.New("fetching it took too long")

// inTime gives fetching an image up when it takes longer than allowed; 0 means
// the default.
func inTime(ctx context.Context, allowed time.Duration, do func(context.Context) error) error {
	allowed = cmp.Or(allowed, defaultImageTime)
	timed, cancel := context.WithTimeoutCause(ctx, allowed, errTooLong)
	defer cancel()
	err := do(timed)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(timed), errTooLong) {
		return fmt.Errorf("%w, more than %s: look at what its server does, or allow more by image_time in agent.toml", errTooLong, allowed)
	}
	return err
}

// Turns fetch images, one after the other. One that takes longer than its turn
// goes on beside the next, and those that are through wait for none that is not:
// no registry holds up the images of others.
type turns struct {
	ctx           context.Context // ends them all
	stop          context.CancelCauseFunc
	fetch         func(context.Context, *staging) error
	turn, allowed time.Duration
	// meanwhile, until it is told to end, goes on while one is waited for that
	// took longer.
	meanwhile func() (end func())
	waiting   []*staging
	running   []*turn
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
		f.err = inTime(t.ctx, t.allowed, func(ctx context.Context) error { return t.fetch(ctx, &f.got) })
	}()
	timer := time.NewTimer(cmp.Or(t.turn, defaultTurn))
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

func (t *turns) await() {
	defer t.meanwhile()()
	<-first(t.running, func(f *turn) <-chan struct{} { return f.done })
}

// first tells when one of several is done.
func first[T any](all []T, done func(T) <-chan struct{}) <-chan struct{} {
	came := make(chan struct{}, len(all))
	for _, one := range all {
		go func() { <-done(one); came <- struct{}{} }()
	}
	return came
}

// end ends what is still on its way.
func (t *turns) end() {
	t.stop(nil)
	for _, f := range t.running {
		<-f.done
	}
}

// newTurns is how a run fetches its images. While none is waited for but those
// that take long, a polling run looks for newer revisions, and ends for one that
// changes something here.
func newTurns(ctx context.Context, a *application) *turns {
	t := &turns{fetch: a.fetchLayers, turn: a.Turn, allowed: a.ImageTime}
	t.ctx, t.stop = context.WithCancelCause(ctx)
	t.meanwhile = func() func() {
		return lookOut(t.ctx, a.Reconciler, a.revision.Hash, func(newer *observation) {
			if len(a.observation.builds) > 0 || !a.wantsSame(newer) {
				t.stop(&SupersededError{newer.revision.Hash})
			}
		})
	}
	return t
}

// layers puts the layers of images on the stage. What is still on its way when
// others are through is put aside, for rest.
func (a *application) layers(ctx context.Context) error {
	a.announce()
	for _, s := range a.stagings {
		if s.err == nil {
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
	if newer := context.Cause(a.turns.ctx); superseded(newer) {
		return newer
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
