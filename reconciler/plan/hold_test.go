package plan_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/schedule"
)

func windows(t *testing.T, crons ...string) (out schedule.Windows) {
	t.Helper()
	for _, cron := range crons {
		w, err := schedule.ParseWindow(cron, time.Hour, "UTC", time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, w)
	}
	return out
}

func TestHolds(t *testing.T) {
	morning, night := windows(t, "0 11 * * *"), windows(t, "0 2 * * *", "0 23 * * *")
	for what, c := range map[string]struct {
		p    plan.Publication
		want string
	}{
		"no windows":                         {plan.Publication{Now: noon}, ""},
		"no windows, and no clock":           {plan.Publication{Now: noon, Doubt: "it is 1970"}, ""},
		"one is open":                        {plan.Publication{Now: noon.Add(-time.Minute), Windows: morning}, ""},
		"none is open":                       {plan.Publication{Now: noon, Windows: night}, "for a window in which entries may change, until " + noon.Add(11*time.Hour).Local().Format("2006-01-02 15:04")},
		"none is open, but who would wait":   {plan.Publication{Now: noon, Windows: night, Anyway: true}, ""},
		"one would be open, but by no clock": {plan.Publication{Now: noon.Add(-time.Minute), Windows: morning, Doubt: "it is 1970"}, "until the clock is set, since entries change only in windows"},
	} {
		if got := plan.Words(c.p.Holds()); got != c.want {
			t.Errorf("%s: %q", what, got)
		}
	}
}

// What is held back is everything but what may be staged without being seen; a
// plan that publishes nothing waits for nothing.
func TestWait(t *testing.T) {
	holds := []plan.Hold{{Why: "for somebody"}}
	p := plan.Plan{
		From: "r1", To: "r2", Menu: "entries change", Garbage: 5,
		Stagings: []plan.Staging{{Image: "a", Layers: []plan.Layer{{DiffID: "l"}}}},
		Removals: []plan.Removal{{Image: "a", Generation: 1, Deployment: "d"}},
	}
	p.Wait(holds)
	kinds := func(list []plan.Action) (out []plan.Kind) {
		for _, a := range list {
			out = append(out, a.Kind)
		}
		return out
	}
	if got := kinds(p.MachineActions()); !slices.Equal(got, []plan.Kind{plan.AddLayer}) || p.Idle() || p.Empty() || !p.Held() {
		t.Errorf("now %v", got)
	}
	if got := kinds(p.Actions()); !slices.Equal(got, []plan.Kind{plan.AddLayer, plan.AwaitPublishing, plan.AddDeployment, plan.RecordRevision, plan.WriteMenu, plan.RemoveDeployment}) {
		t.Errorf("in all %v", got)
	}
	p.Stagings[0].Layers = nil
	if !p.Idle() || p.Empty() {
		t.Error("with all layers staged there is something to do")
	}
	same := plan.Plan{From: "r1", To: "r2", Garbage: 5}
	if same.Wait(holds); same.Held() || same.Garbage != 5 {
		t.Errorf("%+v", same)
	}
}
