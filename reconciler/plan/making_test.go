package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// Why an image is built.
func TestDecide(t *testing.T) {
	known := plan.Making{Image: "desktop", Known: true, Key: "k"}
	with := func(change func(*plan.Making)) plan.Making {
		m := known
		change(&m)
		return m
	}
	failed := plan.Tries{Attempts: 2, Next: noon.Add(time.Minute), Key: "k"}
	for what, c := range map[string]struct {
		making  plan.Making
		reasons string
		verdict plan.Verdict // but for its reasons
	}{
		"nothing changed":         {known, "", plan.Verdict{}},
		"never built":             {plan.Making{}, "it was not built yet", plan.Verdict{Forced: true}},
		"something changed":       {with(func(m *plan.Making) { m.Differences = []string{"run changed", "base changed"} }), "run changed; base changed", plan.Verdict{}},
		"due":                     {with(func(m *plan.Making) { m.Schedule, m.Due = "0 3 * * *", true }), "schedule 0 3 * * * is due", plan.Verdict{Forced: true, Fresh: true}},
		"not due":                 {with(func(m *plan.Making) { m.Schedule = "0 3 * * *" }), "", plan.Verdict{}},
		"gone":                    {with(func(m *plan.Making) { m.Gone = true }), "does not hold it any more", plan.Verdict{Forced: true}},
		"without cache, always":   {with(func(m *plan.Making) { m.NoCache = true }), "", plan.Verdict{Fresh: true}},
		"its base is built":       {with(func(m *plan.Making) { m.Parent, m.ParentBuilds = "base", true }), "image:base is built", plan.Verdict{}},
		"the base, and itself":    {with(func(m *plan.Making) { m.Parent, m.ParentBuilds, m.Differences = "base", true, []string{"run changed"} }), "run changed", plan.Verdict{}},
		"failed, nothing changed": {with(func(m *plan.Making) { m.Failed = failed }), "", plan.Verdict{}},
		"failed, asked for":       {with(func(m *plan.Making) { m.Failed, m.Differences = failed, []string{"x"} }), "x; it has failed 2 times", plan.Verdict{}},
		"failed, patient":         {with(func(m *plan.Making) { m.Failed, m.Differences, m.Patient = failed, []string{"x"}, true }), "x; it has failed 2 times", plan.Verdict{Rests: true}},
		"failed, with another key": {with(func(m *plan.Making) {
			m.Failed, m.Differences, m.Patient, m.Key = failed, []string{"x"}, true, "other"
		}), "x", plan.Verdict{}},
		"failed long ago": {with(func(m *plan.Making) {
			m.Failed, m.Differences, m.Patient = plan.Tries{Attempts: 1, Next: noon.Add(-time.Second), Key: "k"}, []string{"x"}, true
		}), "x; it has failed once", plan.Verdict{}},
		"failed, its base is built": {with(func(m *plan.Making) {
			m.Failed, m.Differences, m.Patient, m.ParentBuilds = failed, []string{"x"}, true, true
		}), "x", plan.Verdict{}},
	} {
		got := c.making.Decide(noon)
		reasons := strings.Join(got.Reasons, "; ")
		if got.Reasons = nil; !strings.Contains(reasons, c.reasons) || (c.reasons == "") != (reasons == "") || got.Forced != c.verdict.Forced || got.Fresh != c.verdict.Fresh || got.Rests != c.verdict.Rests {
			t.Errorf("%s: %q, %+v", what, reasons, got)
		}
	}
}

// The reasons that come in are nobody's to change.
func TestDecideKeepsDifferences(t *testing.T) {
	differences := make([]string, 1, 4)
	differences[0] = "run changed"
	m := plan.Making{Known: true, Differences: differences, Key: "k", Failed: plan.Tries{Attempts: 1, Key: "k"}}
	a, b := m.Decide(noon), m.Decide(noon)
	if len(a.Reasons) != 2 || len(b.Reasons) != 2 || differences[:2][1] != "" {
		t.Errorf("%q %q %q", a.Reasons, b.Reasons, differences[:2])
	}
}

// Why an image is published.
func TestPublishing(t *testing.T) {
	done := plan.Publishing{Ref: "r:1", Key: "k", Ready: true, Known: true, Done: true, KnownRef: "r:1", KnownKey: "k"}
	with := func(change func(*plan.Publishing)) plan.Publishing {
		p := done
		change(&p)
		return p
	}
	failed := &plan.Tries{Attempts: 1, Next: noon.Add(time.Minute), Key: "k"}
	for what, c := range map[string]struct {
		p    plan.Publishing
		want string
	}{
		"it is there":               {done, ""},
		"it is built first":         {with(func(p *plan.Publishing) { p.Builds = true }), "it is built; not needed if"},
		"nothing is built":          {with(func(p *plan.Publishing) { p.Ready = false }), ""},
		"never":                     {with(func(p *plan.Publishing) { p.Known, p.Done = false, false }), "not published yet"},
		"begun and cut":             {with(func(p *plan.Publishing) { p.Done = false }), "not published yet"},
		"failed":                    {with(func(p *plan.Publishing) { p.Failed = failed }), "the last push failed"},
		"failed, patient":           {with(func(p *plan.Publishing) { p.Failed, p.Patient = failed, true }), ""},
		"failed, patient, long ago": {with(func(p *plan.Publishing) { p.Failed, p.Patient = &plan.Tries{Attempts: 1, Key: "k"}, true }), "the last push failed"},
		"failed, patient, changed":  {with(func(p *plan.Publishing) { p.Failed, p.Patient, p.Key = failed, true, "other" }), "the last push failed"},
		"elsewhere":                 {with(func(p *plan.Publishing) { p.KnownRef = "r:2" }), "published as r:2"},
		"changed":                   {with(func(p *plan.Publishing) { p.KnownKey = "old" }), "it changed"},
		"lost":                      {with(func(p *plan.Publishing) { p.Lost = "the registry has another one" }), "the registry has another one"},
	} {
		got := c.p.Reason(noon)
		if !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}
