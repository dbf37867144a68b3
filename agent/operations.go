package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gitboot/gitboot/agent/control"
	"github.com/gitboot/gitboot/agent/trigger"
	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/internal/span"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/operate"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// A wish is what an operation is given: which of its fields count, depends on it.
type wish struct {
	// Name is a generation, IMAGE:NUMBER, an entry or a deployment; of what is
	// approved, the revision.
	Name string `json:"name"`
	// Label is why it is pinned, Why why the machine is suspended, or a revision
	// approved, For how long.
	Label string `json:"label"`
	Why   string `json:"why"`
	For   string `json:"for"`
}

// An operation does what a person wishes, and says what it has done.
type operation func(ctx context.Context, o operate.Operator, w wish) (done string, err error)

// operations are what the socket offers, by name.
func (a *Agent) operations() map[string]control.Operation {
	out := map[string]control.Operation{"page": a.openPage}
	for name, do := range map[string]operation{
		"approve": approve, "pin": pin, "unpin": unpin, "suspend": suspend, "resume": resume, "set-default": setDefault,
		"mark-good": marks(boot.Good), "mark-bad": marks(boot.Bad), "rollback": rollback, "next": next,
	} {
		out[name] = func(ctx context.Context, request json.RawMessage) (any, error) {
			return a.operate(ctx, name, do, request)
		}
	}
	return out
}

// operate has an operation done, tells of it, and looks at what follows from it.
func (a *Agent) operate(ctx context.Context, name string, do operation, request json.RawMessage) (any, error) {
	var w wish
	if err := json.Unmarshal(request, &w); err != nil {
		return nil, fmt.Errorf("read what to %s: %w", name, err)
	}
	m := a.now.get().Reconciler.Machine
	done, err := do(ctx, operate.Operator{On: &m, By: control.Caller(ctx), Wait: true}, w)
	if err != nil {
		return nil, err
	}
	a.Log.Info(done, "by", control.Caller(ctx))
	a.tell(event.Event{Time: a.Now().UTC(), Kind: event.Operated, Machine: m.Name, Part: event.Machine, Author: control.Caller(ctx), Reason: done})
	a.ask(ctx, reconciler.Ask{Trigger: trigger.Command})
	return map[string]string{"done": done}, nil
}

// approve publishes what waits, if it is the revision that somebody has seen.
func approve(ctx context.Context, o operate.Operator, w wish) (string, error) {
	a, err := o.Approve(ctx, w.Name, w.Why)
	return "approved revision " + plan.Short(a.Revision), err
}

func pin(ctx context.Context, o operate.Operator, w wish) (string, error) {
	if err := operate.CheckText("label", w.Label); err != nil {
		return "", err
	}
	found, err := o.Pin(ctx, w.Name, w.Label)
	return fmt.Sprintf("pinned %s:%d", found.Image, found.N), err
}

func unpin(ctx context.Context, o operate.Operator, w wish) (string, error) {
	found, _, err := o.Unpin(ctx, w.Name)
	return fmt.Sprintf("unpinned %s:%d", found.Image, found.N), err
}

// marks is an operation that says of a generation what it is.
func marks(verdict string) operation {
	return func(ctx context.Context, o operate.Operator, w wish) (string, error) {
		found, err := o.Mark(ctx, w.Name, verdict, w.Why)
		return fmt.Sprintf("%s:%d is %s", found.Image, found.N, verdict), err
	}
}

func rollback(ctx context.Context, o operate.Operator, w wish) (string, error) {
	found, err := o.Rollback(ctx, w.Name)
	return fmt.Sprintf("rolled back: %s:%d boots next", found.Image, found.N), err
}

func next(ctx context.Context, o operate.Operator, w wish) (string, error) {
	found, err := o.Next(ctx, w.Name)
	if w.Name == "" {
		return "the next boot is as ever", err
	}
	return fmt.Sprintf("%s:%d boots next, once", found.Image, found.N), err
}

func suspend(ctx context.Context, o operate.Operator, w wish) (string, error) {
	long, err := span.Parse(w.For)
	if w.For == "" {
		long, err = 0, nil
	}
	if err := errors.Join(err, operate.CheckText("reason", w.Why)); err != nil {
		return "", err
	}
	s, err := o.Suspend(ctx, long, w.Why)
	return "suspended " + s.Words(), err
}

func resume(ctx context.Context, o operate.Operator, _ wish) (string, error) {
	_, err := o.Resume(ctx)
	return "resumed", err
}

func setDefault(ctx context.Context, o operate.Operator, w wish) (string, error) {
	found, err := o.On.SetDefault(ctx, w.Name, true)
	if w.Name == "" {
		return "the default is the first image's newest generation again", err
	}
	return fmt.Sprintf("the default is %s:%d", found.Image, found.N), err
}
