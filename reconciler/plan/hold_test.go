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
		"no windows":                           {plan.Publication{Now: noon}, ""},
		"no windows, and no clock":             {plan.Publication{Now: noon, Doubt: "it is 1970"}, ""},
		"one is open":                          {plan.Publication{Now: noon.Add(-time.Minute), Windows: morning}, ""},
		"none is open":                         {plan.Publication{Now: noon, Windows: night}, "for a window in which entries may change, until " + noon.Add(11*time.Hour).Local().Format("2006-01-02 15:04")},
		"none is open, but who would wait":     {plan.Publication{Now: noon, Windows: night, Anyway: true}, ""},
		"one would be open, but by no clock":   {plan.Publication{Now: noon.Add(-time.Minute), Windows: morning, Doubt: "it is 1970"}, "until the clock is set, since entries change only in windows"},
		"a boot test":                          {plan.Publication{Now: noon, Untested: []plan.Untested{{Image: "a"}}}, "for the boot test of a"},
		"a signature, of what is staged first": {plan.Publication{Now: noon, Unsigned: []plan.Unsigned{{Image: "a", By: "builder"}}}, "for a signature of a by builder (it is asked for when that is staged)"},
		"a signature, though nobody would wait": {
			plan.Publication{Now: noon, Anyway: true, Unsigned: []plan.Unsigned{{Image: "a", By: "builder", Deployment: "d1", Cmdline: "quiet"}}},
			"for a signature of deployment d1 of a by builder (it would boot with: quiet)",
		},
		"a signature that cannot be asked for": {
			plan.Publication{Now: noon, Unsigned: []plan.Unsigned{{Image: "a", By: "builder", Deployment: "d1", Cmdline: "quiet", Failure: "no route"}}},
			"for a signature of deployment d1 of a by builder (no route)",
		},
		"two, of which one cannot be made": {
			plan.Publication{Now: noon, Untested: []plan.Untested{{Image: "a"}, {Image: "b", Failure: "no room", Next: noon}}},
			"for the boot test of a; for the boot test of b (no room; it is tried again at " + noon.Local().Format("2006-01-02 15:04") + ")",
		},
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
	if got := kinds(p.MachineActions()); !slices.Equal(got, []plan.Kind{plan.AddLayer, plan.AddDeployment}) || p.Idle() || p.Empty() || !p.Held() {
		t.Errorf("now %v", got)
	}
	if got := kinds(p.Actions()); !slices.Equal(got, []plan.Kind{plan.AddLayer, plan.AddDeployment, plan.AwaitPublishing, plan.RecordRevision, plan.WriteMenu, plan.RemoveDeployment}) {
		t.Errorf("in all %v", got)
	}
	p.Stagings[0].Layers, p.Stagings[0].Ready = nil, "d2"
	if !p.Idle() || p.Empty() {
		t.Error("with all of it staged there is something to do")
	}
	if got := kinds(p.Actions()); !slices.Equal(got, []plan.Kind{plan.AwaitPublishing, plan.AddDeployment, plan.RecordRevision, plan.WriteMenu, plan.RemoveDeployment}) {
		t.Errorf("when it is staged %v", got)
	}
	same := plan.Plan{From: "r1", To: "r2", Garbage: 5}
	if same.Wait(holds); same.Held() || same.Garbage != 5 {
		t.Errorf("%+v", same)
	}
}

// What somebody has to approve of waits until somebody does, or its time is over;
// what is published and what waits both have a say.
func TestApprovals(t *testing.T) {
	since := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	tag, either := plan.Approval{Tag: "ok/*"}, plan.Approval{Tag: "ok/*", After: 12 * time.Hour}
	yes, no := map[string]plan.Consent{"ok/*": {Tag: "ok/1"}}, map[string]plan.Consent{"ok/*": {Against: []string{"it is not signed"}}}
	manual, half := plan.Approval{Manual: true}, plan.Approval{After: 12 * time.Hour}
	for what, c := range map[string]struct {
		p     plan.Publication
		waits int
	}{
		"nothing has to":         {plan.Publication{Approvals: []plan.Approval{{}, {}}}, 0},
		"somebody has to":        {plan.Publication{Approvals: []plan.Approval{manual, {}}}, 1},
		"and will have to":       {plan.Publication{Approvals: []plan.Approval{{}, manual}}, 1},
		"both alike":             {plan.Publication{Approvals: []plan.Approval{manual, manual}}, 1},
		"each its own":           {plan.Publication{Approvals: []plan.Approval{manual, half}}, 2},
		"the first of all":       {plan.Publication{Approvals: []plan.Approval{manual, half}, First: true}, 0},
		"too soon":               {plan.Publication{Approvals: []plan.Approval{half}, Now: since.Add(12*time.Hour - 1)}, 1},
		"in time":                {plan.Publication{Approvals: []plan.Approval{half}, Now: since.Add(12 * time.Hour)}, 0},
		"in whose time":          {plan.Publication{Approvals: []plan.Approval{half}, Now: since.Add(24 * time.Hour), Doubt: "the clock is not set"}, 1},
		"without waiting":        {plan.Publication{Approvals: []plan.Approval{manual}, Anyway: true}, 1},
		"only fetched":           {plan.Publication{Fetched: true, First: true, Anyway: true}, 1},
		"time, but not a person": {plan.Publication{Approvals: []plan.Approval{manual, half}, Now: since.Add(24 * time.Hour)}, 1},
		"by a tag":               {plan.Publication{Approvals: []plan.Approval{tag}, Tags: yes, Doubt: "the clock is not set"}, 0},
		"by none":                {plan.Publication{Approvals: []plan.Approval{tag}, Tags: no}, 1},
		"nobody has looked":      {plan.Publication{Approvals: []plan.Approval{tag}}, 1},
		"by another's tag":       {plan.Publication{Approvals: []plan.Approval{{Tag: "else"}}, Tags: yes}, 1},
		"by a tag, too soon":     {plan.Publication{Approvals: []plan.Approval{either}, Tags: yes, Now: since}, 0},
		"by none, in time":       {plan.Publication{Approvals: []plan.Approval{either}, Tags: no, Now: since.Add(12 * time.Hour)}, 0},
		"by neither":             {plan.Publication{Approvals: []plan.Approval{either}, Tags: no, Now: since}, 1},
		"by one of two":          {plan.Publication{Approvals: []plan.Approval{tag, manual}, Tags: yes}, 1},
	} {
		c.p.Since = since
		if holds := c.p.Holds(); len(holds) != c.waits {
			t.Errorf("%s: %v", what, holds)
		}
	}
}

// What has approved is known afterwards, each once.
func TestApproved(t *testing.T) {
	since := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	either := plan.Approval{Tag: "ok/*", After: time.Hour}
	p := plan.Publication{Now: since.Add(2 * time.Hour), Since: since, Approvals: []plan.Approval{either, either, {After: time.Hour}, {Manual: true}}, Tags: map[string]plan.Consent{"ok/*": {Tag: "ok/1", Who: "Ada"}}}
	if got := p.Approved(); !slices.Equal(got, []string{"tag ok/1 by Ada", "time, as it waited since " + since.Local().Format("2006-01-02 15:04")}) {
		t.Errorf("%q", got)
	}
	if p.First = true; p.Approved() != nil {
		t.Error("nothing had to approve of the first")
	}
}

// Why tags do not approve is told beside what is waited for.
func TestWhyNoTagApproves(t *testing.T) {
	p := plan.Publication{Approvals: []plan.Approval{{Tag: "ok/*"}}, Tags: map[string]plan.Consent{"ok/*": {Against: []string{"tag ok/1: it is not signed", "tag ok/2: it is not annotated"}}}}
	if got := plan.Words(p.Holds()); got != "for approval by a signed tag ok/* (tag ok/1: it is not signed; tag ok/2: it is not annotated)" {
		t.Error(got)
	}
}

// What is staged already is taken if it is what is wanted, and whole.
func TestReady(t *testing.T) {
	other := generation(2, "c")
	other.Inputs.Hooks = "h2"
	damaged := generation(2, "b")
	damaged.Damaged = "it lacks an object"
	for what, c := range map[string]struct {
		ready plan.Generation
		taken string
	}{
		"it is that":  {generation(2, "b"), "db"},
		"another is":  {generation(2, "c"), ""},
		"other hooks": {other, ""},
		"damaged":     {damaged, ""},
	} {
		observed := have("desktop", generation(1, "a"))
		observed.Ready = map[string]plan.Generation{"desktop": c.ready}
		w := want("desktop", func(w *plan.Want) { w.Inputs, w.Layers = inputs("b"), []plan.Layer{{DiffID: "l"}} })
		p := plan.Compare("m", "r2", []plan.Want{w}, observed)
		if len(p.Stagings) != 1 || p.Stagings[0].Ready != c.taken || (len(p.Stagings[0].Layers) == 0) != (c.taken != "") {
			t.Errorf("%s: %+v", what, p.Stagings)
		}
	}
}
