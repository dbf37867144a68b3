package operate

import (
	"context"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
)

// Suspend has nothing change on the machine by itself, until it is resumed or,
// unless that is 0, for so long. One that is suspended already is so anew, and
// since when it was.
func (o Operator) Suspend(ctx context.Context, long time.Duration, why string) (s plan.Suspension, err error) {
	if err := CheckText("reason", why); err != nil {
		return s, err
	}
	err = o.note(ctx, func(doc *state.Machine) (decision, error) {
		now := o.now()
		s = plan.Suspension{Since: now, Why: why, By: o.By}
		did := "suspended"
		if long > 0 {
			s.Until = now.Add(long)
			did += " until " + s.Until.Local().Format("2006-01-02 15:04")
		}
		if doc.Suspension.Stands(now) {
			s.Since = doc.Suspension.Since
		}
		doc.Suspension = &s
		return decision{Did: did, Why: why}, nil
	})
	return s, err
}

// Resume ends a suspension, and reports whether there was one.
func (o Operator) Resume(ctx context.Context) (was bool, err error) {
	err = o.note(ctx, func(doc *state.Machine) (d decision, err error) {
		if was, doc.Suspension = doc.Suspension.Stands(o.On.Now()), nil; was {
			d.Did = "resumed"
		}
		return d, nil
	})
	return was, err
}
