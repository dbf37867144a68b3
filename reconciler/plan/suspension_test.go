package plan_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
)

func TestSuspension(t *testing.T) {
	begin := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	limited := &plan.Suspension{Since: begin, Until: begin.Add(time.Hour), Why: "exam week", By: "anna"}
	for what, c := range map[string]struct {
		s      *plan.Suspension
		now    time.Time
		stands bool
	}{
		"none":                   {nil, begin, false},
		"without end":            {&plan.Suspension{Since: begin}, begin.AddDate(9, 0, 0), true},
		"in time":                {limited, begin.Add(time.Hour - 1), true},
		"at its end":             {limited, begin.Add(time.Hour), false},
		"the clock was set back": {limited, begin.AddDate(-1, 0, 0), true},
	} {
		err := c.s.Refuse(c.now)
		refused := errors.As(err, new(*plan.SuspendedError))
		if c.s.Stands(c.now) != c.stands || refused != c.stands {
			t.Errorf("%s: stands is %t, %v", what, c.s.Stands(c.now), err)
		}
	}
	text := limited.Refuse(begin).Error()
	for _, part := range []string{"by anna: exam week", "gitboot resume", "--anyway"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
}
