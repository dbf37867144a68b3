package view

import (
	"strings"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// A Step is one line of a plan.
type Step struct {
	// Sign is +, − or ~, and Verb what it stands for.
	Sign, Verb, What, Why string
	Packages              string
	Notes, Warnings       []string
	// State is "done", "now" or "to come"; empty in a plan that nobody executes.
	State string
}

// Steps are the lines of a plan: the layers of an image are one.
func Steps(actions []plan.Action) []Step {
	out, _ := fold(actions, -1)
	return out
}

// fold makes lines of actions, and says in which of them the one with an index
// is, -1 if there is none.
func fold(actions []plan.Action, index int) (out []Step, at int) {
	at = -1
	first := 0
	for i, a := range actions {
		if i == index {
			at = len(out)
		}
		if a.Kind != plan.AddLayer {
			out = append(out, step(a))
			continue
		}
		if i == 0 || actions[i-1].Kind != a.Kind || actions[i-1].Image != a.Image {
			first = i
		}
		if i+1 < len(actions) && actions[i+1].Kind == a.Kind && actions[i+1].Image == a.Image {
			continue
		}
		s := step(plan.Action{Kind: a.Kind, Image: a.Image})
		s.Why = plan.Layers(actions[first : i+1])
		out = append(out, s)
	}
	return out, at
}

// verb is what an action does, and its sign.
func verb(k plan.Kind) (sign, verb string) {
	switch k {
	case plan.BuildImage:
		return "+", "build"
	case plan.AddLayer:
		return "+", "fetch"
	case plan.AddDeployment:
		return "+", "stage"
	case plan.TestDeployment:
		return "~", "boot in a virtual machine"
	case plan.AddRecovery:
		return "+", "make the recovery entry"
	case plan.PushImage:
		return "+", "push"
	case plan.RecordRevision:
		return "~", "note the revision"
	case plan.WriteMenu:
		return "~", "write the boot menu"
	case plan.LinkMenu:
		return "~", "link the boot menu"
	case plan.RemoveDeployment:
		return "−", "remove"
	case plan.CollectGarbage:
		return "−", "collect garbage"
	case plan.SkipImage:
		return "!", "leave as it is"
	case plan.NoticeDrift:
		return "!", "put right"
	}
	return "~", strings.ReplaceAll(string(k), "-", " ")
}

func step(a plan.Action) Step {
	sign, verb := verb(a.Kind)
	what := a.Image
	if a.Generation > 0 {
		what += ":" + number(a.Generation)
	}
	switch {
	case a.Path != "":
		what += " " + plan.ShortPath(a.Path)
	case a.Ref != "":
		what += " to " + a.Ref
	case a.Kind == plan.RecordRevision:
		what = plan.Short(a.Subject)
	case a.Bytes > 0:
		what += " (" + progress.Bytes(a.Bytes) + ")"
	}
	s := Step{Sign: sign, Verb: verb, What: plain.Line(strings.TrimSpace(what)), Why: Lines(a.Reason), Packages: plain.Line(a.Packages)}
	for _, n := range a.Notes {
		s.Notes = append(s.Notes, plain.Line(n))
	}
	for _, w := range a.Warnings {
		s.Warnings = append(s.Warnings, plain.Line(w))
	}
	return s
}
