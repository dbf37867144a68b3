// Package view is what the page shows, as text that is ready to be put into it:
// a pure function of what is known and of the time.
package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/reconciler/state"
)

// Facts are what is known.
type Facts struct {
	Live   live.Status
	Staged report.Status
	// Broken is why the stage could not be read, nil if it could.
	Broken error
	Runs   []state.Run
	// Logs are the ends of the logs of what is being built, by image.
	Logs map[string]string
	Now  time.Time
}

// How a thing stands, for its colour. Words say it, too.
const (
	Good = "good"
	Busy = "busy"
	Bad  = "bad"
	Held = "held"
	Calm = "calm"
)

// A Page is all that is shown.
type Page struct {
	Machine, Version string
	// State is one word, Tone its colour, and Summary a sentence.
	State, Tone, Summary string
	Revisions            []Revision
	Conditions           []Condition
	Alerts               []Alert
	Suspended            string
	// Notices are what somebody may want to do something about, though nothing
	// fails.
	Notices []string
	// Waiting is what is staged and waits to be published, nil if nothing does.
	Waiting         *Waiting
	Runs            []Run
	Images          []Image
	Managed, Chosen bool
	Next            []Coming
	// Signs are the machines of which this one signs what they boot.
	Signs []Signing
	// Served are what was given to other machines since the agent began, a line each.
	Served []string
	Days   []Day
}

// A Revision is a commit and what it is to this machine.
type Revision struct{ Is, Hash, Subject, Author string }

// Waiting is a revision, why it waits, and what publishing it changes. Revision is
// the whole of its name.
type Waiting struct {
	Revision, Short, Why string
	Since                Time
	Steps                []Step
}

func waiting(w *report.WaitingStatus) *Waiting {
	if w == nil {
		return nil
	}
	return &Waiting{w.Revision, plan.Short(w.Revision), plain.Line(plan.Words(w.Holds)), At(w.Since), Steps(w.Actions)}
}

// A Condition is one of the agent's.
type Condition struct {
	Type, Status, Reason, Message, Tone string
	Since                               Time
}

// An Alert is what fails.
type Alert struct {
	What, Message string
	Since         Time
}

// A Coming is what is going to be done by itself.
type Coming struct {
	What string
	At   Time
}

// A Time is shown as people read it, and carries the form for machines.
type Time struct{ Text, Machine string }

// At makes a Time.
func At(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{Text: t.Local().Format("2006-01-02 15:04"), Machine: t.UTC().Format(time.RFC3339)}
}

// Of makes a page.
func Of(f Facts) Page {
	p := Page{
		Machine: plain.Line(cmp.Or(f.Live.Machine, f.Staged.Machine)), Version: f.Live.Version,
		Revisions: revisions(f.Live), Conditions: conditions(f.Live), Alerts: alerts(f),
		Runs: runs(f), Images: images(f), Managed: f.Staged.Mode == "managed", Days: days(f.Runs),
	}
	if s := f.Staged.Suspension; s.Stands(f.Now) {
		p.Suspended = plain.Line(s.Words())
	}
	p.Signs = signs(f)
	for _, s := range f.Live.Served {
		p.Served = append(p.Served, s.String())
	}
	p.Notices, p.Waiting = notices(f.Staged), waiting(f.Staged.Waiting)
	for _, c := range f.Live.Next {
		p.Next = append(p.Next, Coming{What: coming(c), At: At(c.Time)})
	}
	p.State, p.Tone, p.Summary = summary(f.Live, p)
	return p
}

// summary is what somebody wants to know who looks for a second.
func summary(s live.Status, p Page) (state, tone, text string) {
	is := map[string]live.Condition{}
	for _, c := range s.Conditions {
		is[c.Type] = c
	}
	ready := is[live.Ready]
	text = plain.Line(ready.Message)
	switch {
	case is[live.Stalled].Status == live.True:
		return "Stalled", Bad, plain.Line(is[live.Stalled].Message)
	case p.Suspended != "":
		return "Suspended", Held, "nothing changes by itself: suspended " + p.Suspended
	case is[live.Reconciling].Status == live.True:
		return "Reconciling", Busy, plain.Line(is[live.Reconciling].Message)
	case ready.Status == live.True:
		return "Ready", Good, text
	}
	return cmp.Or(map[string]string{live.Unknown: "Starting"}[ready.Status], "Not ready"), Busy, text
}

func revisions(s live.Status) (out []Revision) {
	add := func(is string, r live.Revision) {
		if r.Hash == "" {
			return
		}
		for i := range out {
			if out[i].Hash == plan.Short(r.Hash) {
				out[i].Is += ", " + is
				return
			}
		}
		out = append(out, Revision{is, plan.Short(r.Hash), plain.Line(r.Subject), plain.Line(r.Author)})
	}
	add("wanted", s.Wanted)
	add("applied", live.Revision{Hash: s.Applied})
	add("tried last", s.Tried)
	return out
}

func conditions(s live.Status) (out []Condition) {
	for _, c := range s.Conditions {
		tone := Calm
		switch {
		case c.Type == live.Stalled && c.Status == live.True:
			tone = Bad
		case c.Type == live.Reconciling && c.Status == live.True, c.Type == live.Ready && c.Status != live.True:
			tone = Busy
		case c.Type == live.Ready:
			tone = Good
		}
		out = append(out, Condition{c.Type, c.Status, c.Reason, plain.Line(c.Message), tone, At(c.Since)})
	}
	return out
}

func notices(s report.Status) (out []string) {
	if s.Reboot.Needed {
		out = append(out, "a reboot is needed: "+s.Reboot.Line(), s.Starts())
	}
	if t := s.Trial; t != nil {
		out = append(out, "trying "+t.Title()+": "+trying(t))
	}
	if f := s.Testing; f != nil {
		out = append(out, "the branch testing/"+s.Machine+" is left alone: "+f.Message)
	}
	if s.Clock != "" {
		out = append(out, s.Clock+": nothing is done by the clock")
	}
	for i := range out {
		out[i] = plain.Line(out[i])
	}
	return out
}

func trying(t *report.TrialStatus) string {
	switch {
	case t.Booted:
		return "it runs now, and goes after the next boot"
	case t.Asked:
		return "it boots next, and only then"
	}
	return "it was booted and left; the next run removes it"
}

// alerts are what fails, with the lines of why.
func alerts(f Facts) (out []Alert) {
	told := map[string]bool{}
	for _, l := range f.Live.Failures {
		what := "the " + l.Part
		switch {
		case l.Image != "":
			what, told[l.Image] = "image "+l.Image, true
		case l.Part == "repo":
			what = "the config repo"
		}
		out = append(out, Alert{plain.Line(what), Lines(l.Message), At(l.Since)})
	}
	for _, img := range f.Staged.Images {
		if img.Failure != nil && !told[img.Name] {
			out = append(out, Alert{"image " + img.Name, Lines(img.Failure.Message), At(img.Failure.Since)})
		}
	}
	for _, p := range f.Staged.Pushes {
		if p.Failure != nil {
			out = append(out, Alert{"pushing image " + p.Image, Lines(p.Failure.Message), At(p.Failure.Since)})
		}
	}
	for _, s := range f.Staged.Signs {
		if s.Failure != nil {
			out = append(out, Alert{"signing what " + s.Machine + " boots", Lines(s.Failure.Message), At(s.Failure.Since)})
		}
	}
	if f.Broken != nil {
		out = append(out, Alert{"reading the stage", Lines(f.Broken.Error()), At(f.Now)})
	}
	return out
}

// Lines makes each line of a text fit to be shown.
func Lines(s string) string {
	var out []string
	for line := range strings.Lines(s) {
		out = append(out, plain.Line(line))
	}
	return strings.Join(out, "\n")
}

func coming(c plan.Coming) string {
	words := []string{c.What}
	if c.Image != "" {
		words = append(words, "of", c.Image)
	}
	text := strings.Join(words, " ")
	if c.Why != "" {
		text += ", " + c.Why
	}
	return plain.Line(text)
}

// count is "1 layer", "2 layers".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// took is how long something lasted, in words.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	text := d.Round(time.Second).String()
	if short, exact := strings.CutSuffix(text, "m0s"); exact {
		return short + "m"
	}
	return text
}

// sorted are a map's keys.
func sorted(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
