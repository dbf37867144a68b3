package agent

import (
	"context"
	"log/slog"
	"maps"
	"sync"

	"github.com/gitboot/gitboot/agent/notify"
	"github.com/gitboot/gitboot/agent/outbox"
	"github.com/gitboot/gitboot/reconciler/event"
)

// An audience are those outside that are told of what happens, each in its own
// time. What waits for one of them stays while agent.toml is read again.
type audience struct {
	mu    sync.Mutex
	boxes map[string]*outbox.Outbox
}

func (a *audience) tell(e event.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, box := range a.boxes {
		box.Put(e)
	}
}

// seat has these be told from now on, and nobody else, and returns what delivers
// to them until ctx ends.
func (a *audience) seat(targets []notify.Target, log *slog.Logger) (deliveries []func(ctx context.Context)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	left := maps.Clone(a.boxes)
	for _, t := range targets {
		delete(left, t.Name)
		box := a.boxes[t.Name]
		if box == nil {
			box = outbox.New()
			a.boxes[t.Name] = box
		}
		box.Open(t.Wants)
		deliveries = append(deliveries, func(ctx context.Context) { box.Run(ctx, log.With("to", t.Name), t.Tell) })
	}
	for _, box := range left {
		box.Open(nil)
	}
	return deliveries
}

// targets are those that are told by agent.toml.
func (a *Agent) targets(set Setup) []notify.Target {
	opts := set.Notify
	opts.Print = func(line string) {
		a.Log.Info("the command that is told of events has printed something", "output", line)
	}
	return opts.Targets()
}
