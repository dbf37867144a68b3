package view

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
)

// A Run is what a part does now.
type Run struct {
	Part, Trigger, Revision string
	Began                   Time
	Steps                   []Step
	Tasks                   []Task
	Logs                    []Log
}

// A Task is a piece of work. Percent is -1 where its end is not known.
type Task struct {
	Name, Far string
	Percent   int
	For       string
}

// A Log is the end of what a build has printed.
type Log struct{ Image, Text string }

func runs(f Facts) (out []Run) {
	for _, r := range f.Live.Runs {
		run := Run{Part: r.Part, Trigger: plain.Line(r.Trigger), Revision: plan.Short(r.Revision), Began: At(r.Began), Steps: inProgress(r)}
		for _, t := range r.Tasks {
			run.Tasks = append(run.Tasks, task(t, f.Now))
			if text, ok := f.Logs[t.Image]; ok && t.At != "" {
				run.Logs = append(run.Logs, Log{t.Image, Lines(text)})
			}
		}
		out = append(out, run)
	}
	return out
}

// inProgress are a run's steps, with how far it is.
func inProgress(r live.Run) []Step {
	index := -1
	if r.Step != nil {
		index = slices.IndexFunc(r.Steps, func(a plan.Action) bool {
			return a.Kind == r.Step.Kind && a.Image == r.Step.Image && a.Generation == r.Step.Generation && a.Subject == r.Step.Subject
		})
	}
	steps, at := fold(r.Steps, index)
	for i := range steps {
		switch {
		case at < 0 || i > at:
			steps[i].State = "to come"
		case i == at:
			steps[i].State = "now"
		default:
			steps[i].State = "done"
		}
	}
	return steps
}

func task(t live.Task, now time.Time) Task {
	out := Task{Name: plain.Line(t.Name), Percent: -1, For: took(max(0, now.Sub(t.Began)).Round(time.Second))}
	switch {
	case t.At != "":
		out.Far = plain.Line(t.At)
	case t.Total > 0:
		out.Far = progress.Bytes(t.Done) + " of " + progress.Bytes(t.Total)
		out.Percent = int(100 * min(t.Done, t.Total) / t.Total)
	case t.Done > 0:
		out.Far = progress.Bytes(t.Done)
	}
	return out
}

// A Day is the runs of one.
type Day struct {
	Date string
	Runs []Past
}

// A Past is a run that has ended.
type Past struct {
	Clock, Machine, Part, Trigger, Revision, Took string
	// What it did, in a few words, and Tone how it ended.
	What, Tone string
	Steps      []Step
	// Approved is what approved of the revision.
	Approved []string
	// Failures are images and why, and the run's own.
	Failures []Alert
}

// daysShown are the runs that are shown of those that are kept.
const daysShown = 40

func days(runs []state.Run) (out []Day) {
	for _, r := range runs[:min(len(runs), daysShown)] { // newest first
		date := r.Began.Local().Format("Monday, 2 January 2006")
		if len(out) == 0 || out[len(out)-1].Date != date {
			out = append(out, Day{Date: date})
		}
		d := &out[len(out)-1]
		d.Runs = append(d.Runs, past(r))
	}
	return out
}

func past(r state.Run) Past {
	p := Past{
		Clock: r.Began.Local().Format("15:04"), Machine: At(r.Began).Machine, Part: r.Part, Trigger: plain.Line(r.Trigger), Revision: plan.Short(r.Revision),
		Took: took(r.Ended.Sub(r.Began)), Tone: Good,
	}
	actions := make([]plan.Action, len(r.Steps))
	for i, s := range r.Steps {
		actions[i] = s.Action
	}
	p.Steps, p.What = Steps(actions), outcome(actions)
	if r.Part == state.Person {
		p.What, p.Trigger, p.Took = plain.Line(r.Decision()), plain.Line(cmp.Or(r.By, "somebody")), ""
	}
	for _, by := range r.Approved {
		p.Approved = append(p.Approved, plain.Line(by))
	}
	for _, name := range sorted(r.Failed) {
		p.Failures = append(p.Failures, Alert{What: plain.Line("image " + name), Message: Lines(r.Failed[name])})
	}
	if r.Error != "" {
		p.Failures = append(p.Failures, Alert{What: "the run", Message: Lines(r.Error)})
	}
	if len(p.Failures) > 0 {
		p.Tone = Bad
	}
	return p
}

// outcome says in a few words what was done.
func outcome(actions []plan.Action) string {
	var words []string
	for _, k := range []struct {
		kind plan.Kind
		what string
	}{{plan.BuildImage, "build"}, {plan.AddLayer, "layer"}, {plan.AddDeployment, "deployment"}, {plan.TestDeployment, "boot test"}, {plan.RemoveDeployment, "removal"}, {plan.PushImage, "push"}} {
		n := 0
		for _, a := range actions {
			if a.Kind == k.kind {
				n++
			}
		}
		switch {
		case n > 1 && k.kind == plan.PushImage:
			words = append(words, number(n)+" pushes")
		case n > 0:
			words = append(words, count(n, k.what))
		}
	}
	if len(words) == 0 && slices.ContainsFunc(actions, func(a plan.Action) bool { return a.Kind == plan.WriteMenu }) {
		return "boot menu"
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}
