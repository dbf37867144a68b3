package forge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/report"
)

// A State is a status in a word.
type State string

const (
	Pending State = "pending"
	Success State = "success"
	Failure State = "failure"
	// Overtaken commits were never staged: GitLab has a state for that, the others
	// are told that they are pending still.
	Overtaken State = "overtaken"
)

// A Status is what a commit is told of this machine.
type Status struct {
	Revision string
	State    State
	Text     string
}

// statuses are those that follow from what the agent does and what is staged: that
// of the revision that is followed, and of one that is refused.
func statuses(l live.Status, staged report.Status) (out []Status) {
	for _, f := range l.Failures {
		if f.Part == event.Repo && f.Revision != "" {
			out = append(out, Status{f.Revision, Failure, "not followed: " + plain.First(f.Message)})
		}
	}
	if l.Wanted.Hash == "" || len(out) > 0 && out[0].Revision == l.Wanted.Hash {
		return out
	}
	return append(out, wanted(l, staged))
}

// wanted is the status of the revision that is followed.
func wanted(l live.Status, staged report.Status) Status {
	s := Status{Revision: l.Wanted.Hash, State: Pending}
	ready := l.Conditions[0]
	failed, fails := failure(l, staged)
	running := at(l)
	switch {
	case fails && (failed.Revision == s.Revision || running == ""):
		s.State, s.Text = Failure, subject(failed)+plain.First(failed.Message)
	case running != "":
		s.Text = running
	case l.Applied == s.Revision || staged.Revision == s.Revision:
		if s.State, s.Text = Success, converged(staged); bad(staged) != "" {
			s.State, s.Text = Failure, bad(staged)
		}
	case ready.Reason == "Converging" || ready.Reason == "Refused" || ready.Reason == "Unreachable":
		s.Text = "seen by this machine"
	default: // it is suspended, or waits for something
		s.Text = plain.First(ready.Message)
	}
	return s
}

// failure is the first that is not the repo's, that of a part before those of
// images. What failed before the agent was started is in the documents.
func failure(l live.Status, staged report.Status) (found live.Failure, ok bool) {
	all := slices.Clone(l.Failures)
	for _, img := range staged.Images {
		if img.Failure != nil {
			all = append(all, live.Failure{Part: event.Machine, Image: img.Name, Message: img.Failure.Message})
		}
	}
	for _, b := range staged.Builds {
		if b.Failure != nil {
			all = append(all, live.Failure{Part: event.Workshop, Image: b.Image, Message: b.Failure.Message})
		}
	}
	for _, f := range all {
		if f.Part != event.Repo && (!ok || f.Image == "" && found.Image != "") {
			found, ok = f, true
		}
	}
	return found, ok
}

func subject(f live.Failure) string {
	if f.Image == "" {
		return "the " + f.Part + ": "
	}
	return "image " + f.Image + ": "
}

// at says what goes on for the revision that is followed.
func at(l live.Status) string {
	for _, r := range l.Runs {
		if r.Revision == l.Wanted.Hash {
			return map[string]string{event.Machine: "staging", event.Workshop: "building images"}[r.Part]
		}
	}
	return ""
}

// bad says which image's newest generation is known to be bad, and why; "" if none
// is.
func bad(s report.Status) string {
	for _, img := range s.Images {
		if g := img.Bad(); g != nil {
			text := fmt.Sprintf("bad: %s, generation %d: %s", img.Name, g.Generation, plain.First(g.Verdict.Reason))
			if g.LastWords != "" {
				text += "; the log ends with: " + g.LastWords
			}
			return text
		}
	}
	return ""
}

// verdict is what is known of what runs.
func verdict(s report.Status) string {
	for _, img := range s.Images {
		for _, g := range img.Generations {
			switch {
			case !g.Booted:
			case g.State == boot.Good:
				return "good: "
			case g.State == boot.Trying:
				return "booted, on trial: "
			}
		}
	}
	return "booted: "
}

// converged says what the machine has of a revision: whether it runs, or boots
// next; of a system that gitboot has not booted, what is staged.
func converged(s report.Status) string {
	name := func(g *report.GenerationRef) string { return fmt.Sprintf("%s, generation %d", g.Image, g.Generation) }
	if s.Reboot.Needed {
		return "staged: " + name(s.Reboot.Next) + "; boots next"
	}
	if s.Reboot.Running != nil {
		return verdict(s) + name(s.Reboot.Running)
	}
	var all []string
	for _, img := range s.Images {
		if len(img.Generations) > 0 {
			all = append(all, fmt.Sprintf("%s, generation %d", img.Name, img.Generations[0].Generation))
		}
	}
	if len(all) == 0 {
		return "nothing is wanted of this machine"
	}
	return "staged: " + strings.Join(all, "; ")
}

// passedOver is what a revision is told that another one has overtaken.
func passedOver(s Status, by string) Status {
	return Status{s.Revision, Overtaken, "passed over: " + plan.Short(by) + " came first"}
}
