package plan_test

import (
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/schedule"
)

// A machine is restarted for what is new, where that is allowed, in a window, and
// once for each.
func TestRestart(t *testing.T) {
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	night, err := schedule.ParseWindow("0 3 * * *", time.Hour, "UTC", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		change func(*plan.Restart)
		want   bool
	}{
		"needed, at any time": {func(*plan.Restart) {}, true},
		"not allowed":         {func(r *plan.Restart) { r.Allowed = false }, false},
		"not needed":          {func(r *plan.Restart) { r.Next = "" }, false},
		"tried before":        {func(r *plan.Restart) { r.Tried = "d2" }, false},
		"another was tried":   {func(r *plan.Restart) { r.Tried = "d1" }, true},
		"outside its windows": {func(r *plan.Restart) { r.Windows = schedule.Windows{night} }, false},
		"in a window":         {func(r *plan.Restart) { r.Windows, r.Now = schedule.Windows{night}, noon.Add(15*time.Hour+time.Minute) }, true},
		"by a clock that is not set": {func(r *plan.Restart) {
			r.Windows, r.Now, r.Doubt = schedule.Windows{night}, noon.Add(15*time.Hour+time.Minute), "not set"
		}, false},
		"suspended":         {func(r *plan.Restart) { r.Suspension = &plan.Suspension{Since: noon} }, false},
		"no more suspended": {func(r *plan.Restart) { r.Suspension = &plan.Suspension{Since: noon, Until: noon} }, true},
	} {
		r := plan.Restart{Now: noon, Allowed: true, Next: "d2"}
		if c.change(&r); r.Due() != c.want {
			t.Errorf("%s: %t", what, !c.want)
		}
	}
}
