package agent

import (
	"context"
	"log/slog"
	"maps"
	"sync"

	"github.com/gitboot/gitboot/agent/forge"
	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/agent/notify"
	"github.com/gitboot/gitboot/agent/outbox"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/report"
)

// An audience are those outside that are told of what happens, each in its own
// time. What waits for one of them stays while agent.toml is read again.
type audience struct {
	mu        sync.Mutex // guards what follows
	boxes     map[string]*outbox.Outbox
	reporters []*forge.Reporter
}

func (a *audience) tell(e event.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, box := range a.boxes {
		box.Put(e)
	}
	for _, reporter := range a.reporters {
		reporter.Notice(e)
	}
}

// seat has these be told from now on, and nobody else, and returns what delivers
// to them until ctx ends.
func (a *audience) seat(targets []notify.Target, reporters []*forge.Reporter, log *slog.Logger) (deliveries []func(ctx context.Context)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reporters = reporters
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

// seat has those be told that agent.toml names.
func (a *Agent) seat(set Setup) (deliveries []func(ctx context.Context)) {
	opts := set.Notify
	opts.Print = func(line string) {
		a.Log.Info("the command that is told of events has printed something", "output", line)
	}
	var reporters []*forge.Reporter
	for _, o := range set.Forges {
		reporters = append(reporters, forge.NewReporter(o, a.Log))
	}
	look := func(ctx context.Context) (live.Status, report.Status, error) {
		staged, err := set.Reconciler.Status(ctx)
		return a.Board.Snapshot(), staged, err
	}
	deliveries = a.audience.seat(opts.Targets(), reporters, a.Log)
	for _, reporter := range reporters {
		deliveries = append(deliveries, func(ctx context.Context) { reporter.Run(ctx, look) })
	}
	return deliveries
}
