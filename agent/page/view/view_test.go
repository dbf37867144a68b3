package view_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/agent/page/view"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/reconciler/state"
)

// What is seen in a second is the worst that is so.
func TestState(t *testing.T) {
	now := time.Now()
	conditions := func(ready, reconciling, stalled string) live.Status {
		return live.Status{Conditions: []live.Condition{
			{Type: live.Ready, Status: ready, Message: "ready?"}, {Type: live.Reconciling, Status: reconciling, Message: "reconciling?"}, {Type: live.Stalled, Status: stalled, Message: "stalled?"},
		}}
	}
	suspended := report.Status{Suspension: &plan.Suspension{Since: now, Until: now.Add(time.Hour)}}
	for _, c := range []struct {
		facts               view.Facts
		state, tone, summed string
	}{
		{view.Facts{Live: conditions("True", "False", "False")}, "Ready", view.Good, "ready?"},
		{view.Facts{Live: conditions("False", "True", "False")}, "Reconciling", view.Busy, "reconciling?"},
		{view.Facts{Live: conditions("False", "True", "True")}, "Stalled", view.Bad, "stalled?"},
		{view.Facts{Live: conditions("False", "False", "False")}, "Not ready", view.Busy, "ready?"},
		{view.Facts{Live: conditions("Unknown", "False", "False")}, "Starting", view.Busy, "ready?"},
		{view.Facts{Live: conditions("True", "False", "False"), Staged: suspended, Now: now.Add(2 * time.Hour)}, "Ready", view.Good, "ready?"},
	} {
		if p := view.Of(c.facts); p.State != c.state || p.Tone != c.tone || p.Summary != c.summed {
			t.Errorf("%+v: %s, %s, %s", c.facts.Live.Conditions, p.State, p.Tone, p.Summary)
		}
	}
	if p := view.Of(view.Facts{Live: conditions("True", "False", "False"), Staged: suspended, Now: now}); p.State != "Suspended" || p.Suspended == "" {
		t.Errorf("%s: %s", p.State, p.Summary)
	}
}

// The layers of an image are one line, and where a run is, is seen.
func TestSteps(t *testing.T) {
	layer := func(image, id string, n int64) plan.Action {
		return plan.Action{Kind: plan.AddLayer, Image: image, Subject: id, Bytes: n}
	}
	actions := []plan.Action{
		layer("a", "1", 1000), layer("a", "2", 2000), layer("b", "3", 0),
		{Kind: plan.AddDeployment, Image: "a", Generation: 2, Reason: "hooks changed", Warnings: []string{"w\x1b[1m"}},
		{Kind: plan.RecordRevision, Subject: "0123456789abcdef", Reason: "was none"}, {Kind: "something-new"},
	}
	want := []view.Step{
		{Sign: "+", Verb: "fetch", What: "a", Why: "2 layers, 3.0 kB", State: "done"}, {Sign: "+", Verb: "fetch", What: "b", Why: "1 layer", State: "now"},
		{Sign: "+", Verb: "stage", What: "a:2", Why: "hooks changed", Warnings: []string{"w"}, State: "to come"},
		{Sign: "~", Verb: "note the revision", What: "0123456789ab", Why: "was none", State: "to come"}, {Sign: "~", Verb: "something new", State: "to come"},
	}
	p := view.Of(view.Facts{Live: live.Status{Runs: []live.Run{{Steps: actions, Step: &actions[2]}}}})
	if d := cmp.Diff(want, p.Runs[0].Steps); d != "" {
		t.Error(d)
	}
}

func TestPast(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	step := func(k plan.Kind) state.Step { return state.Step{Action: plan.Action{Kind: k, Image: "a"}} }
	p := view.Of(view.Facts{Runs: []state.Run{
		{Began: at, Ended: at.Add(90 * time.Second), Steps: []state.Step{step(plan.AddLayer), step(plan.AddLayer), step(plan.AddDeployment), step(plan.PushImage), step(plan.PushImage)}},
		{Began: at.Add(-time.Hour), Ended: at, Steps: []state.Step{step(plan.WriteMenu)}},
		{Began: at.Add(-24 * time.Hour), Ended: at, Failed: map[string]string{"a": "no"}, Error: "full"},
	}})
	var got [][]string
	for _, d := range p.Days {
		for _, r := range d.Runs {
			got = append(got, []string{d.Date, r.What, r.Took, r.Tone})
		}
	}
	want := [][]string{
		{"Sunday, 1 March 2026", "2 layers, 1 deployment, 2 pushes", "1m30s", view.Good},
		{"Sunday, 1 March 2026", "boot menu", "1h0m", view.Good},
		{"Saturday, 28 February 2026", "nothing", "24h0m", view.Bad},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if len(p.Days[1].Runs[0].Failures) != 2 {
		t.Errorf("failures: %v", p.Days[1].Runs[0].Failures)
	}
}

// What came of others than the registry is told, what in vain, and what others got.
func TestGivenAndTaken(t *testing.T) {
	from := []state.Giver{{Kind: "mirror", Host: "den:8376", Bytes: 1500}, {Kind: "registry", Host: "r", Bytes: 7}}
	p := view.Of(view.Facts{
		Live:   live.Status{Served: []live.Served{{Kind: "object", Requests: 2, Bytes: 3_000_000}, {Kind: "repo", Requests: 1, Bytes: 20}}},
		Staged: report.Status{Images: []report.ImageStatus{{Name: "a", Generations: []report.GenerationStatus{{Fetched: &state.Fetched{From: from}}, {Fetched: &state.Fetched{From: from[1:]}}, {}, {Fetched: &state.Fetched{From: from, Vain: 16 << 20, Unfit: true}}}}}},
	})
	if d := cmp.Diff([]string{"3.0 MB of objects, in 2 answers since the agent started", "20 B of the config repo, in 1 answer since the agent started"}, p.Served); d != "" {
		t.Error(d)
	}
	for i, want := range []string{"1.5 kB of mirror den:8376", "", "", "1.5 kB of mirror den:8376, 16.8 MB in vain, a patch in vain"} {
		if got := p.Images[0].Generations[i].Fetched; got != want {
			t.Errorf("generation %d: %q, want %q", i, got, want)
		}
	}
}

// What is signed for another machine is told with the last revision of which it was all;
// that it is not yet, and that it fails, are seen.
func TestSigned(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	failure := &state.Failure{Message: "the registry refuses", Since: at}
	p := view.Of(view.Facts{Live: live.Status{Wanted: live.Revision{Hash: "0123456789abcdef"}}, Staged: report.Status{Signs: []report.SigningStatus{
		{Machine: "desk", Revision: "0123456789abcdef", Time: at}, {Machine: "kiosk"}, {Machine: "lamp", Revision: "fedcba9876543210", Time: at},
		{Machine: "till", Revision: "0123456789abcdef", Time: at, Failure: failure},
	}}})
	want := []view.Signing{
		{Machine: "desk", Is: "signed", Tone: view.Good, Revision: "0123456789ab", Since: view.At(at)}, {Machine: "kiosk", Is: "pending", Tone: view.Busy},
		{Machine: "lamp", Is: "pending", Tone: view.Busy, Revision: "fedcba987654", Since: view.At(at)},
		{Machine: "till", Is: "fails", Tone: view.Bad, Revision: "0123456789ab", Since: view.At(at)},
	}
	if d := cmp.Diff(want, p.Signs); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]view.Alert{{What: "signing what till boots", Message: "the registry refuses", Since: view.At(at)}}, p.Alerts); d != "" {
		t.Error(d)
	}
}
