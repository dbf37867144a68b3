// Package difference shows the difference between what is wanted and what is
// staged, to people: what comes with +, what goes with -, what becomes another
// with ~, and what cannot be with !; the last line sums it up.
package difference

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// Print shows a plan.
func Print(w io.Writer, p plan.Plan) error {
	if p.Empty() && len(p.Failed) == 0 {
		if _, err := fmt.Fprintf(w, "%s: nothing to change at revision %s\n", p.Machine, plan.Short(p.To)); err != nil || len(p.Refused) == 0 {
			return err
		}
		return Actions(w, plan.Plan{Refused: p.Refused}.Actions())
	}
	paint := screen.PaintFor(w)
	if _, err := fmt.Fprintln(w, paint.In(screen.Bold, fmt.Sprintf("%s: revision %s → %s", p.Machine, cmp.Or(plan.Short(p.From), "none"), plan.Short(p.To)))); err != nil {
		return err
	}
	if err := Actions(w, p.Actions()); err != nil {
		return err
	}
	when := "to change"
	if p.Held() {
		when = "to change when its time has come"
	}
	_, err := fmt.Fprintf(w, "%s: %s: %s\n%s%s", p.Machine, when, Sum(p), space(p), disk(p))
	return err
}

// space says what becomes of the room on the stage, if a plan takes some and says
// how much.
func space(p plan.Plan) string {
	if p.Space == nil || p.Space.Needed == 0 || len(p.Builds) > 0 {
		return ""
	}
	left := progress.Bytes(p.Space.Left) + " left"
	if p.Space.Left < 0 {
		left = progress.Bytes(-p.Space.Left) + " missing"
	}
	return fmt.Sprintf("%s: room on the stage: %s free, up to %s needed, %s freed, %s\n",
		p.Machine, progress.Bytes(p.Space.Free), progress.Bytes(p.Space.Needed), progress.Bytes(p.Space.Freed), left)
}

// disk says how the machine's disk is declared to be divided.
func disk(p plan.Plan) string {
	if p.Disk == nil {
		return ""
	}
	var parts []string
	for _, part := range p.Disk.Partitions {
		parts = append(parts, part.Words())
	}
	return p.Machine + ": a disk made of it: " + strings.Join(parts, ", ") + "\n"
}

// Sum says in a few words what a plan changes.
func Sum(p plan.Plan) string {
	var parts []string
	part := func(sign string, n int, what string) {
		if n > 0 {
			parts = append(parts, sign+screen.Count(n, what))
		}
	}
	part("", len(p.Builds), "build")
	part("+", len(p.Stagings), "deployment")
	part("-", len(p.Removals), "deployment")
	if p.Recovery != "" {
		parts = append(parts, "the recovery entry")
	}
	part("", len(p.Pushes), "push")
	part("!", len(p.Failed), "failed image")
	if len(parts) == 0 && (p.Menu != "" || p.Link) {
		parts = append(parts, "the menu")
	}
	if len(parts) == 0 {
		parts = append(parts, "the record of the revision")
	}
	if n := p.Bytes(); n > 0 {
		parts = append(parts, progress.Bytes(n))
	}
	return strings.Join(parts, ", ")
}

// A change is one line of a difference.
type change struct {
	sign  string
	paint screen.Colour
	name  string
}

func changeOf(k plan.Kind) change {
	name := strings.ReplaceAll(string(k), "-", " ")
	switch k {
	case plan.BuildImage, plan.AddLayer, plan.AddDeployment, plan.AddRecovery, plan.PushImage:
		return change{"+", screen.Green, name}
	case plan.RemoveDeployment, plan.CollectGarbage:
		return change{"-", screen.Red, name}
	case plan.SkipImage, plan.NoticeDrift:
		return change{"!", screen.Red, name}
	}
	return change{"~", screen.Yellow, name}
}

// Actions shows what is done, a line each.
func Actions(w io.Writer, actions []plan.Action) error {
	paint := screen.PaintFor(w)
	for _, a := range foldLayers(actions) {
		c := changeOf(a.Kind)
		what := plain.Cut(describe(a), screen.Columns(w)-21) // the whole of a failure is told in the end
		if _, err := fmt.Fprintf(w, "%s %s %s\n", paint.In(c.paint, c.sign), paint.In(c.paint, fmt.Sprintf("%-18s", c.name)), what); err != nil {
			return err
		}
		for _, line := range details(a, paint) {
			if _, err := fmt.Fprintf(w, "  %-18s %s\n", "", line); err != nil {
				return err
			}
		}
	}
	return nil
}

// details are the lines below an action.
func details(a plan.Action, paint screen.Painter) (lines []string) {
	if a.Packages != "" {
		lines = append(lines, "packages: "+a.Packages)
	}
	for _, note := range a.Notes {
		lines = append(lines, "note: "+note)
	}
	for _, warning := range a.Warnings {
		lines = append(lines, paint.In(screen.Yellow, "warning: "+warning))
	}
	return lines
}

// foldLayers makes one line of an image's layers: --json lists them.
func foldLayers(actions []plan.Action) (out []plan.Action) {
	first := 0
	for i, a := range actions {
		if a.Kind != plan.AddLayer {
			out = append(out, a)
			continue
		}
		if i == 0 || actions[i-1].Kind != a.Kind || actions[i-1].Image != a.Image {
			first = i
		}
		if i+1 < len(actions) && actions[i+1].Kind == a.Kind && actions[i+1].Image == a.Image {
			continue
		}
		out = append(out, plan.Action{Kind: a.Kind, Image: a.Image, Reason: plan.Layers(actions[first : i+1])})
	}
	return out
}

// describe says what an action is done to, and why, on one line: all that a
// failed build said is told once, in the command's error.
func describe(a plan.Action) string {
	var words []string
	if a.Image != "" {
		words = append(words, a.Image)
	}
	if a.Generation > 0 {
		words = append(words, fmt.Sprintf("generation %d", a.Generation))
	}
	if a.Subject != "" {
		words = append(words, plan.Short(a.Subject))
	}
	if a.Path != "" {
		words = append(words, plan.ShortPath(a.Path))
	}
	if a.Ref != "" {
		words = append(words, a.Ref)
	}
	if a.Bytes > 0 {
		words = append(words, "("+progress.Bytes(a.Bytes)+")")
	}
	what := strings.Join(words, " ")
	if what != "" && a.Reason != "" {
		what += ": "
	}
	reason, _, long := strings.Cut(a.Reason, "\n")
	if long {
		reason = strings.TrimSuffix(reason, ":") + " …"
	}
	return what + reason
}
