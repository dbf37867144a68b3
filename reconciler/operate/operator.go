package operate

import (
	"cmp"
	"context"
	"time"

	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/state"
)

// An Operator has something done on a machine by hand. What is done is kept among
// the records of runs: who had it done, when, and why.
type Operator struct {
	On *machine.Machine
	// By is the operator's name, "" if nobody knows.
	By string
	// Wait waits for another's lock instead of failing.
	Wait bool
}

// A decision is what an operator has done, for the record; nothing if Did is empty.
type decision struct{ Did, Why, Revision string }

// note changes the machine's document, and change its menu, too.
func (o Operator) note(ctx context.Context, do func(*state.Machine) (decision, error)) error {
	return o.with(ctx, do, o.On.Note)
}

func (o Operator) change(ctx context.Context, do func(*state.Machine) (decision, error)) error {
	return o.with(ctx, do, o.On.Change)
}

type changing func(ctx context.Context, wait bool, do func(*state.Machine) error, after ...func(*state.Machine) error) error

func (o Operator) with(ctx context.Context, do func(*state.Machine) (decision, error), change changing) error {
	if err := CheckText("name of who does it", o.By); err != nil {
		return err
	}
	var d decision
	return change(ctx, o.Wait, func(doc *state.Machine) (err error) {
		d, err = do(doc)
		return err
	}, func(doc *state.Machine) error {
		if d.Did == "" {
			return nil
		}
		now := o.On.Now().UTC()
		return state.Run{Part: state.Person, Trigger: "command", Revision: cmp.Or(d.Revision, doc.Revision), By: o.By, Did: d.Did, Why: d.Why, Began: now, Ended: now}.Save(o.On.Stage.Dir())
	})
}

// now is the time as documents have it.
func (o Operator) now() time.Time { return o.On.Now().UTC().Truncate(time.Second) }
