// Package outbox keeps events for somebody who takes them in their own time: who
// puts one in never waits. It holds a bounded number; when it is full, the oldest
// goes, and it is said how many have gone.
package outbox

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/gitboot/gitboot/reconciler/event"
)

// size is how many events wait at most.
const size = 64

// An Outbox keeps events. It takes none before it is opened.
type Outbox struct {
	mu      sync.Mutex // guards what follows
	wants   func(event.Event) bool
	events  []event.Event
	dropped int
	wake    chan struct{}
}

// New is an outbox that is closed.
func New() *Outbox { return &Outbox{wake: make(chan struct{}, 1)} }

// Open has the outbox take events that are wanted from now on; nil closes it, and
// forgets what is in it.
func (o *Outbox) Open(wants func(event.Event) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.wants = wants; wants == nil {
		o.events, o.dropped = nil, 0
	}
}

// Put takes an event, if it is wanted.
func (o *Outbox) Put(e event.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.wants == nil || !o.wants(e) {
		return
	}
	if o.events = append(o.events, e); len(o.events) > size {
		o.events = slices.Delete(o.events, 0, 1)
		o.dropped++
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Run delivers one event after another until ctx ends. What is being delivered
// then is delivered by the next Run.
func (o *Outbox) Run(ctx context.Context, log *slog.Logger, deliver func(context.Context, event.Event) error) {
	for {
		e, dropped, ok := o.take()
		if dropped > 0 {
			log.Warn("events were dropped that could not be delivered in time", "events", dropped)
		}
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-o.wake:
			}
			continue
		}
		err := deliver(ctx, e)
		if ctx.Err() != nil {
			o.giveBack(e, err)
			return
		}
		if err != nil {
			log.Error("an event was not delivered", "event", e.Kind, "error", err)
		}
	}
}

func (o *Outbox) take() (e event.Event, dropped int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	dropped, o.dropped = o.dropped, 0
	if len(o.events) == 0 {
		return e, dropped, false
	}
	e = o.events[0]
	o.events = slices.Delete(o.events, 0, 1)
	return e, dropped, true
}

// giveBack keeps an event whose delivery was cut short.
func (o *Outbox) giveBack(e event.Event, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil && o.wants != nil && len(o.events) < size {
		o.events = slices.Insert(o.events, 0, e)
	}
}
