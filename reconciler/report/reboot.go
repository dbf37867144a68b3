package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/rootfs/packages"
	"github.com/gitboot/gitboot/stage"
)

// A Reboot says whether what boots next is another generation than what runs. A
// system that gitboot did not boot needs none: what it runs is not on the stage.
type Reboot struct {
	Needed bool `json:"needed"`
	// Reason says why, in a line.
	Reason string `json:"reason,omitempty"`
	// Running is what runs, and Next what boots, if a reboot is needed.
	Running *GenerationRef `json:"running,omitempty"`
	Next    *GenerationRef `json:"next,omitempty"`
	// Packages is how their packages differ, absent where that is not known.
	Packages *packages.Summary `json:"packages,omitempty"`
	// Method is how the machine would be restarted by itself: Ordinary or "kexec", empty
	// if gitboot did not boot it. NotKexec says why it is Ordinary where it was to be the
	// other.
	Method   string `json:"method,omitempty"`
	NotKexec string `json:"notKexec,omitempty"`
	// Revision is the one that Running was staged for.
	Revision string `json:"-"`
}

// Ordinary is the method by firmware and boot loader.
const Ordinary = "reboot"

// RebootOf finds out whether a reboot is needed, of a machine whose document was read.
func RebootOf(ctx context.Context, book *menu.Book, doc *state.Machine) (Reboot, error) {
	if book.Booted == "" {
		return Reboot{}, nil
	}
	book = book.Of(doc)
	shown, err := book.Shown()
	if err != nil {
		return Reboot{}, err
	}
	return rebootOf(ctx, book, doc, shown), nil
}

func rebootOf(ctx context.Context, book *menu.Book, doc *state.Machine, shown map[string]bool) Reboot {
	r := reboot(doc, book.Booted, book.Default(doc, shown), shown)
	if r.Needed {
		r.Packages = packagesBetween(ctx, book.Stage, doc, r)
	}
	return r
}

// reboot compares what runs with what boots next: in mode managed the default,
// elsewhere the newest generation of the same image that the menu has.
func reboot(doc *state.Machine, booted, chosen string, shown map[string]bool) Reboot {
	running, ok := find(doc, func(_ string, g state.Generation) bool { return g.Deployment == booted })
	if !ok {
		return Reboot{}
	}
	out := Reboot{Running: reference(running), Revision: running.Revision}
	next, ok := find(doc, func(image string, g state.Generation) bool {
		id := boot.EntryID(image, g.Deployment)
		if doc.Mode == boot.ModeManaged {
			return id == chosen
		}
		return image == running.Image && shown[id]
	})
	if !ok || next.Deployment == booted {
		return out
	}
	out.Needed, out.Next = true, reference(next)
	out.Reason = fmt.Sprintf("%s, generation %d (%s), boots next; %s is running", next.Image, next.N, next.From(), runs(running, next))
	return out
}

func runs(running, next state.Found) string {
	if running.Image == next.Image {
		return fmt.Sprintf("generation %d", running.N)
	}
	return fmt.Sprintf("%s, generation %d,", running.Image, running.N)
}

// find returns the newest generation of which is says so.
func find(doc *state.Machine, is func(image string, g state.Generation) bool) (state.Found, bool) {
	for _, name := range doc.MenuOrder() {
		img := doc.Images[name]
		if img == nil {
			continue
		}
		for _, g := range slices.Backward(img.Generations) {
			if is(name, g) {
				return state.Found{Image: name, Generation: g}, true
			}
		}
	}
	return state.Found{}, false
}

func reference(f state.Found) *GenerationRef { r := ref(f); return &r }

// packagesBetween is how the packages of what runs and of what boots next differ.
func packagesBetween(ctx context.Context, st *stage.Stage, doc *state.Machine, r Reboot) *packages.Summary {
	if next, err := doc.Find(fmt.Sprintf("%s:%d", r.Next.Image, r.Next.Generation)); err == nil {
		if before, err := doc.Before(next); err == nil && before.Deployment == r.Running.Deployment {
			return next.Packages
		}
	}
	changes, err := Changes(ctx, st, r)
	if err != nil || len(changes) == 0 {
		return nil
	}
	s := packages.Summarize(changes)
	return &s
}

// Changes are all packages in which what runs and what boots next differ.
func Changes(ctx context.Context, st *stage.Stage, r Reboot) ([]packages.Change, error) {
	d, err := diff(ctx, st, r.Running.found(), r.Next.found())
	return d.Changes, err
}

func (g GenerationRef) found() state.Found {
	return state.Found{Image: g.Image, Generation: state.Generation{N: g.Generation, Deployment: g.Deployment}}
}

// Name is how commands name the generation.
func (g GenerationRef) Name() string { return fmt.Sprintf("%s:%d", g.Image, g.Generation) }

// Line says in a line what a reboot brings.
func (r Reboot) Line() string {
	if r.Packages == nil || r.Packages.String() == "" {
		return r.Reason
	}
	return r.Reason + "; packages: " + r.Packages.String()
}

// Starts says in a line how what runs was started, and how the machine would be
// restarted; empty if gitboot did not boot it.
func (s Status) Starts() string {
	if s.Reboot.Method == "" {
		return ""
	}
	line := "started by " + cmp.Or(s.Via, "the boot loader") + "; a restart is by "
	switch {
	case s.Reboot.Method != Ordinary:
		return line + s.Reboot.Method
	case s.Reboot.NotKexec == "":
		return line + "firmware and boot loader"
	}
	return line + "firmware and boot loader, not by kexec, because " + s.Reboot.NotKexec
}
