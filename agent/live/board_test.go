package live_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// A clock moves on by a second each time it is looked at.
type clock struct{ at time.Time }

func (c *clock) now() time.Time {
	c.at = c.at.Add(time.Second)
	return c.at
}

func newBoard() *live.Board {
	return live.New("1.0", (&clock{time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}).now)
}

func looked(revision string) event.Event {
	return event.Event{Kind: event.Looked, Part: event.Repo, Revision: revision, Changed: true}
}

func began(part string) event.Event {
	return event.Event{Kind: event.Began, Part: part, Revision: "r1", Trigger: "poll", Steps: []plan.Action{{Kind: plan.WriteMenu}}}
}

func ended(part, revision, err string) event.Event {
	return event.Event{Kind: event.Ended, Part: part, Revision: revision, Error: err}
}

// What has happened decides the conditions.
func TestConditions(t *testing.T) {
	failed := event.Event{Kind: event.Failed, Part: event.Machine, Image: "desktop", Error: "no such tag\nmore"}
	for what, c := range map[string]struct {
		events                      []event.Event
		ready, reconciling, stalled string
	}{
		"nothing yet":          {nil, "Unknown/Starting", "False/Idle", "False/Starting"},
		"seen":                 {[]event.Event{looked("r1")}, "False/Converging", "False/Idle", "False/Progressing"},
		"at it":                {[]event.Event{looked("r1"), began(event.Machine)}, "False/Converging", "True/Converging", "False/Progressing"},
		"converged":            {[]event.Event{looked("r1"), began(event.Machine), ended(event.Machine, "r1", "")}, "True/Converged", "False/Idle", "False/Progressing"},
		"and building":         {[]event.Event{looked("r1"), ended(event.Machine, "r1", ""), began(event.Workshop)}, "False/Making", "True/Making", "False/Progressing"},
		"a newer one":          {[]event.Event{looked("r1"), ended(event.Machine, "r1", ""), looked("r2")}, "False/Converging", "False/Idle", "False/Progressing"},
		"refused":              {[]event.Event{looked("r1"), ended(event.Machine, "r1", ""), {Kind: event.Refused, Part: event.Repo, Revision: "r2", Error: "bad"}}, "False/Refused", "False/Idle", "True/Refused"},
		"unreachable":          {[]event.Event{looked("r1"), ended(event.Machine, "r1", ""), {Kind: event.Refused, Part: event.Repo, Error: "down"}}, "False/Unreachable", "False/Idle", "True/Unreachable"},
		"and mended":           {[]event.Event{{Kind: event.Refused, Part: event.Repo, Revision: "r2", Error: "bad"}, looked("r3"), ended(event.Machine, "r3", "")}, "True/Converged", "False/Idle", "False/Progressing"},
		"the repo comes back":  {[]event.Event{looked("r1"), ended(event.Machine, "r1", ""), {Kind: event.Refused, Part: event.Repo, Error: "down"}, {Kind: event.Recovered, Part: event.Repo}}, "True/Converged", "False/Idle", "False/Progressing"},
		"an image fails":       {[]event.Event{looked("r1"), failed, ended(event.Machine, "r1", "")}, "False/ImageFailed", "False/Idle", "True/ImageFailed"},
		"and recovers":         {[]event.Event{looked("r1"), failed, {Kind: event.Recovered, Part: event.Machine, Image: "desktop"}, ended(event.Machine, "r1", "")}, "True/Converged", "False/Idle", "False/Progressing"},
		"all fails":            {[]event.Event{looked("r1"), {Kind: event.Failed, Part: event.Machine, Error: "disk full"}, ended(event.Machine, "r1", "disk full")}, "False/Failed", "False/Idle", "True/Failed"},
		"suspended":            {[]event.Event{looked("r1"), {Kind: event.Held, Held: "Suspended", Reason: "by Ada"}}, "False/Suspended", "False/Idle", "False/Progressing"},
		"and resumed":          {[]event.Event{looked("r1"), {Kind: event.Held, Held: "Suspended", Reason: "by Ada"}, {Kind: event.Held}, ended(event.Machine, "r1", "")}, "True/Converged", "False/Idle", "False/Progressing"},
		"superseded":           {[]event.Event{looked("r1"), {Kind: event.Ended, Part: event.Machine, Revision: "r1", Reason: "a newer one"}}, "False/Converging", "False/Idle", "False/Progressing"},
		"waiting":              {[]event.Event{looked("r1"), {Kind: event.Held, Held: "Waiting", Reason: "for a window"}, ended(event.Machine, "r1", "")}, "False/Waiting", "False/Idle", "False/Progressing"},
		"and over":             {[]event.Event{looked("r1"), {Kind: event.Held, Held: "Waiting", Reason: "for a window"}, ended(event.Machine, "r1", ""), {Kind: event.Held}}, "False/Converging", "False/Idle", "False/Progressing"},
		"a step is no failure": {[]event.Event{looked("r1"), began(event.Machine), {Kind: event.Stepped, Part: event.Machine, Step: &plan.Action{Kind: plan.WriteMenu}}}, "False/Converging", "True/Converging", "False/Progressing"},
	} {
		b := newBoard()
		for _, e := range c.events {
			b.Tell(e)
		}
		got := map[string]string{}
		for _, condition := range b.Snapshot().Conditions {
			got[condition.Type] = condition.Status + "/" + condition.Reason
		}
		if got[live.Ready] != c.ready || got[live.Reconciling] != c.reconciling || got[live.Stalled] != c.stalled {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// A condition keeps its time for as long as it is so for the same reason.
func TestSince(t *testing.T) {
	b := newBoard()
	since := func() time.Time { return b.Snapshot().Conditions[0].Since }
	b.Tell(looked("r1"))
	b.Tell(ended(event.Machine, "r1", ""))
	first := since()
	b.Tell(looked("r1"))
	if !since().Equal(first) {
		t.Error("a look that found the same is a change")
	}
	b.Tell(looked("r2"))
	if since().Equal(first) {
		t.Error("another revision is none")
	}
}

// What runs is shown with its step and how far its work is, and shares nothing
// with what comes later.
func TestRuns(t *testing.T) {
	b := newBoard()
	b.Tell(began(event.Machine))
	b.Tell(event.Event{Kind: event.Stepped, Part: event.Machine, Step: &plan.Action{Kind: plan.AddLayer, Image: "desktop"}})
	b.Progress(progress.Event{Layers: []progress.Layer{{ID: "l1", Image: "desktop"}}})
	b.Progress(progress.Event{Task: "pull l1", Layer: "l1", Done: 5, Total: 10})
	b.Tell(began(event.Workshop))
	b.Progress(progress.Event{Task: "base", Build: &progress.Build{Step: 1, Steps: 3, Doing: "RUN \x1b[31mmake", Line: "cc\x07"}})
	before := b.Snapshot()
	b.Progress(progress.Event{Task: "pull l1", Finished: true})
	b.Tell(ended(event.Workshop, "r1", ""))
	if len(before.Runs) != 2 || len(before.Runs[0].Tasks) != 1 || before.Runs[0].Step.Image != "desktop" {
		t.Fatalf("%+v", before.Runs)
	}
	if task := before.Runs[0].Tasks[0]; task.Image != "desktop" || task.Done != 5 || task.Total != 10 {
		t.Errorf("%+v", task)
	}
	if task := before.Runs[1].Tasks[0]; task.Image != "base" || !strings.HasPrefix(task.At, "step 1/3: RUN ") || strings.ContainsAny(task.At+task.Line, "\x1b\x07") {
		t.Errorf("%+v", task)
	}
	after := b.Snapshot()
	if len(after.Runs) != 1 || len(after.Runs[0].Tasks) != 0 {
		t.Errorf("%+v", after.Runs)
	}
}

// The last events are kept, with numbers that go on, and no more than that.
func TestEvents(t *testing.T) {
	b := newBoard()
	const n = 5 * live.EventsKept
	for i := range n {
		b.Tell(event.Event{Kind: event.Built, Image: fmt.Sprint(i + 1)})
	}
	all, gap := b.Since(0)
	if len(all) < live.EventsKept || len(all) > 2*live.EventsKept || gap {
		t.Errorf("%d events of %d, gap %t", len(all), n, gap)
	}
	for i, e := range all {
		if e.ID != n-uint64(len(all))+uint64(i)+1 || e.Image != fmt.Sprint(e.ID) {
			t.Fatalf("%d: %+v", i, e)
		}
	}
	if last, gap := b.Since(n - 3); len(last) != 3 || last[0].ID != n-2 || gap {
		t.Errorf("%+v", last)
	}
	if none, gap := b.Since(n); len(none) != 0 || gap {
		t.Errorf("%+v", none)
	}
	if _, gap := b.Since(1); !gap {
		t.Error("that some are forgotten is not told")
	}
}

// Whoever waits is woken by the next change, and by none before.
func TestChanged(t *testing.T) {
	b := newBoard()
	b.Tell(looked("r1"))
	changed := b.Changed()
	select {
	case <-changed:
		t.Fatal("a change of before")
	default:
	}
	b.Progress(progress.Event{Task: "pull x", Err: errors.New("later")})
	<-changed
}

// What others are given is summed up by kinds.
func TestServed(t *testing.T) {
	b := live.New("v1", time.Now)
	b.Served("repo", 5)
	b.Served("object", 10)
	before := b.Snapshot().Served
	b.Served("object", 1)
	if got, want := b.Snapshot().Served, []live.Served{{Kind: "object", Requests: 2, Bytes: 11}, {Kind: "repo", Requests: 1, Bytes: 5}}; !slices.Equal(got, want) {
		t.Errorf("served %v, want %v", got, want)
	}
	if before[0].Bytes != 10 {
		t.Errorf("a snapshot has changed: %v", before)
	}
}
