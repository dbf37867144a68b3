package reconciler

import (
	"context"
	"reflect"
	"slices"
)

// newTurns is how a run fetches its images. While none is waited for but those
// that take long, a polling run looks for newer revisions, and ends for one that
// changes something here.
func newTurns(ctx context.Context, a *application) *turns {
	t := &turns{fetch: a.fetchLayers, turn: a.Turn, allowed: a.ImageTime}
	t.ctx, t.stop = context.WithCancelCause(ctx)
	t.meanwhile = func() func() {
		return lookOut(t.ctx, a.Reconciler, a.revision.Hash, func(newer *observation) {
			if len(a.observation.builds) > 0 || !reflect.DeepEqual(newer.wants, a.wants) {
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
