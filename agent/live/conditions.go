package live

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// starting are the conditions of an agent that has not looked yet.
func starting(now time.Time) []Condition {
	return []Condition{
		{Type: Ready, Status: Unknown, Reason: "Starting", Message: "the config repo has not been read yet", Since: now},
		{Type: Reconciling, Status: False, Reason: "Idle", Message: "nothing is being changed", Since: now},
		{Type: Stalled, Status: False, Reason: "Starting", Message: "nothing has failed", Since: now},
	}
}

// judge brings the conditions up to date. What stays as it is keeps its time.
func (b *Board) judge() {
	now := b.now().UTC()
	for i, c := range []Condition{b.ready(), b.reconciling(), b.stalled()} {
		was := b.status.Conditions[i]
		if c.Since = was.Since; c.Status != was.Status || c.Reason != was.Reason {
			c.Since = now
		}
		b.status.Conditions[i] = c
	}
}

// ready: the next boot is the commit that the config repo has.
func (b *Board) ready() Condition {
	c := Condition{Type: Ready, Status: False, Revision: b.status.Wanted.Hash}
	wanted := plan.Short(b.status.Wanted.Hash)
	switch {
	case len(b.failed) > 0:
		c.Reason, c.Message = b.worst()
	case b.held.reason != "":
		c.Reason, c.Message = b.held.reason, b.held.message
	case b.status.Wanted.Hash == "":
		c.Status, c.Reason, c.Message = Unknown, "Starting", "the config repo has not been read yet"
	case b.runs[event.Machine] != nil || b.status.Applied != b.status.Wanted.Hash:
		c.Reason, c.Message = "Converging", "the machine is converging on revision "+wanted
	case b.runs[event.Workshop] != nil:
		c.Reason, c.Message = "Making", "images are being made; all else is as revision "+wanted+" wants it"
	default:
		c.Status, c.Reason, c.Message = True, "Converged", "the next boot is revision "+wanted
	}
	return c
}

// reconciling: something is being changed.
func (b *Board) reconciling() Condition {
	c := Condition{Type: Reconciling, Status: False, Reason: "Idle", Message: "nothing is being changed", Revision: b.status.Wanted.Hash}
	var doing []string
	for _, part := range slices.Sorted(maps.Keys(b.runs)) {
		r := b.runs[part]
		c.Status, c.Reason, c.Revision = True, map[string]string{event.Machine: "Converging", event.Workshop: "Making"}[part], r.Revision
		doing = append(doing, r.describe())
	}
	if len(doing) > 0 {
		c.Message = strings.Join(doing, "; ")
	}
	return c
}

// describe says in a line what a part does.
func (r *Run) describe() string {
	if r.Step == nil {
		return fmt.Sprintf("the %s has begun with revision %s", r.Part, plan.Short(r.Revision))
	}
	at := string(r.Step.Kind)
	if r.Step.Image != "" {
		at += " of " + r.Step.Image
	}
	return fmt.Sprintf("the %s is at %s, revision %s", r.Part, at, plan.Short(r.Revision))
}

// stalled: it fails, and goes on trying, but somebody should look.
func (b *Board) stalled() Condition {
	c := Condition{Type: Stalled, Status: False, Reason: "Progressing", Message: "nothing fails", Revision: b.status.Tried.Hash}
	if len(b.failed) > 0 {
		c.Status = True
		c.Reason, c.Message = b.worst()
	}
	return c
}

// worst is the failure that keeps most from converging.
func (b *Board) worst() (reason, message string) {
	for _, part := range []string{event.Repo, event.Machine, event.Workshop} {
		if f, ok := b.failed[key(part, "")]; ok {
			return reasonOf(part, f), plain.First(f.Message)
		}
	}
	name := slices.Min(slices.Collect(maps.Keys(b.failed)))
	f := b.failed[name]
	message = fmt.Sprintf("image %q: %s", f.Image, plain.First(f.Message))
	if more := len(b.failed) - 1; more > 0 {
		message += fmt.Sprintf(", and %d more", more)
	}
	return "ImageFailed", message
}

// reasonOf is why a part fails, in a word.
func reasonOf(part string, f Failure) string {
	switch {
	case part != event.Repo:
		return "Failed"
	case f.Revision == "": // no revision was come to that could be refused
		return "Unreachable"
	}
	return "Refused"
}
