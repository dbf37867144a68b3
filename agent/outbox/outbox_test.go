package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/reconciler/event"
)

func all(event.Event) bool { return true }

func numbered(n int) event.Event { return event.Event{Kind: event.Staged, Generation: n} }

// deliver runs an outbox until so many were delivered.
func deliver(t *testing.T, o *Outbox, log *slog.Logger, n int) (got []int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o.Run(ctx, log, func(_ context.Context, e event.Event) error {
		if got = append(got, e.Generation); len(got) == n {
			stop()
		}
		return nil
	})
	return got
}

// Who puts events in never waits; of too many the oldest go, which is said.
func TestTheOldestGo(t *testing.T) {
	o := New()
	o.Put(numbered(-1)) // nobody wants it yet
	o.Open(func(e event.Event) bool { return e.Generation%2 == 0 })
	for i := range 2 * (size + 10) {
		o.Put(numbered(i))
	}
	var log bytes.Buffer
	got := deliver(t, o, slog.New(slog.NewTextHandler(&log, nil)), size)
	if len(got) != size || got[0] != 20 || got[size-1] != 2*(size+9) {
		t.Errorf("delivered are %v", got)
	}
	if text := log.String(); strings.Count(text, "events=10") != 1 {
		t.Errorf("the log says %q", text)
	}
}

// What is being delivered when it ends is delivered by the next; what fails is
// said, and goes.
func TestCutDelivery(t *testing.T) {
	o := New()
	o.Open(all)
	for i := range 3 {
		o.Put(numbered(i))
	}
	ctx, stop := context.WithCancel(t.Context())
	var log bytes.Buffer
	o.Run(ctx, slog.New(slog.NewTextHandler(&log, nil)), func(ctx context.Context, e event.Event) error {
		if e.Generation == 0 {
			return errors.New("refused")
		}
		stop()
		return ctx.Err()
	})
	if !strings.Contains(log.String(), "error=refused") {
		t.Errorf("the log says %q", log.String())
	}
	if got := fmt.Sprint(deliver(t, o, slog.New(slog.DiscardHandler), 2)); got != "[1 2]" {
		t.Errorf("delivered are %s", got)
	}
	o.Put(numbered(4))
	o.Open(nil)
	o.Put(numbered(5))
	o.Open(all)
	o.Put(numbered(6))
	if got := fmt.Sprint(deliver(t, o, slog.New(slog.DiscardHandler), 1)); got != "[6]" {
		t.Errorf("delivered are %s", got)
	}
}
