package operate

import (
	"context"
	"errors"
	"time"

	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
)

// Suspend has nothing change on the machine by itself, until it is resumed or,
// unless that is 0, for so long. One that is suspended already is so anew, and
// since when it was.
func Suspend(ctx context.Context, m *machine.Machine, long time.Duration, why, by string, wait bool) (s plan.Suspension, err error) {
	if err := errors.Join(CheckText("reason", why), CheckText("name of who suspends", by)); err != nil {
		return s, err
	}
	err = m.Note(ctx, wait, func(doc *state.Machine) error {
		now := m.Now().UTC().Truncate(time.Second)
		s = plan.Suspension{Since: now, Why: why, By: by}
		if long > 0 {
			s.Until = now.Add(long)
		}
		if doc.Suspension.Stands(now) {
			s.Since = doc.Suspension.Since
		}
		doc.Suspension = &s
		return nil
	})
	return s, err
}

// Resume ends a suspension, and reports whether there was one.
func Resume(ctx context.Context, m *machine.Machine, wait bool) (was bool, err error) {
	err = m.Note(ctx, wait, func(doc *state.Machine) error {
		was, doc.Suspension = doc.Suspension.Stands(m.Now()), nil
		return nil
	})
	return was, err
}
