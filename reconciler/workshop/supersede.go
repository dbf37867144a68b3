package workshop

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
)

// ErrSuperseded says that something was stopped, or not begun, because a newer
// revision wants another image or none. It is nobody's failure.
var ErrSuperseded = errors.New("stopped: a newer revision wants it otherwise")

// Supersede tells what a newer revision wants: builds that it does not want are
// stopped, and so is publishing, if it changes anything for this machine. It may
// be called at any time, from anywhere.
func (j *Job) Supersede(newer *wanted.Wanted) { j.halt.supersede(newer, j.Log) }

// A halt stops what a newer revision does not want.
type halt struct {
	was *wanted.Wanted
	mu  sync.Mutex // guards what follows
	// running are the builds under way and how they are stopped; latest is what
	// a newer revision wants, nil without one; stopped says that a build was
	// stopped, or not begun, because of it; stopPush stops what is published.
	running  map[*build]context.CancelCauseFunc
	latest   *wanted.Wanted
	stopped  bool
	stopPush context.CancelCauseFunc
}

func (h *halt) supersede(newer *wanted.Wanted, log *slog.Logger) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latest = newer
	for b, stop := range h.running {
		if !b.wantedBy(newer) {
			h.stopped = true
			log.Info("stopping a build that a newer revision does not want", "image", b.want.Name, "revision", plan.Short(newer.Revision.Hash))
			stop(ErrSuperseded)
		}
	}
	if h.stopPush != nil && !h.was.Same(newer) {
		h.stopPush(ErrSuperseded)
	}
}

// begin notes that a build runs and gives the context that stops it. One that a
// newer revision does not want is not begun, nor any after others were stopped:
// the next run decides anew.
func (h *halt) begin(ctx context.Context, b *build) (context.Context, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped = h.stopped || h.latest != nil && !b.wantedBy(h.latest); h.stopped {
		return nil, ErrSuperseded
	}
	ctx, stop := context.WithCancelCause(ctx)
	h.running[b] = stop
	return ctx, nil
}

func (h *halt) end(b *build) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running[b](nil)
	delete(h.running, b)
}

// pushing gives the context that stops publishing, and what ends it.
func (h *halt) pushing(ctx context.Context) (context.Context, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ctx, stop := context.WithCancelCause(ctx)
	h.stopPush = stop
	if h.latest != nil && !h.was.Same(h.latest) {
		stop(ErrSuperseded)
	}
	return ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.stopPush = nil
		stop(nil)
	}
}

// wantedBy reports whether a newer revision wants exactly what is being built,
// bases included.
func (b *build) wantedBy(newer *wanted.Wanted) bool {
	images := Order(newer.Wants)
	i := slices.IndexFunc(images, func(w spec.Image) bool { return w.Name == b.want.Name })
	if i < 0 {
		return false
	}
	is := &build{want: images[i], parent: b.parent, state: b.state}
	return b.sameParent(is, newer) && sameBase(b.want, is.want) && is.prepareAs(newer) == nil && is.key().Equal(b.key())
}

func (b *build) sameParent(is *build, newer *wanted.Wanted) bool {
	base := is.want.Build.Base
	if b.parent == nil {
		return base == nil || base.Build == nil
	}
	return base != nil && base.Name == b.parent.want.Name && b.parent.wantedBy(newer)
}

func sameBase(was, is spec.Image) bool {
	a, b := baseOf(was), baseOf(is)
	if a == nil || b == nil {
		return a == b
	}
	x, errX := origin.Declaration(*a)
	y, errY := origin.Declaration(*b)
	return errX == nil && errY == nil && x == y
}

// prepareAs prepares a build with the digests that its state knows.
func (b *build) prepareAs(w *wanted.Wanted) (err error) {
	if b.prepared, err = recipe.Prepare(b.recipe(w)); err != nil {
		return err
	}
	digests := map[string]string{}
	for _, ref := range b.prepared.References {
		digests[ref] = b.state.Named[ref].Digest // none, and the key is another
	}
	return b.prepared.Pin(digests, image.Pinned)
}
