// Package verdict decides whether deployments on trial are good or bad, by what the
// boot loader counted and how boots went. It reads nothing itself.
package verdict

import (
	"fmt"
	"slices"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/state"
)

// Seen is what can be seen after a boot.
type Seen struct {
	// Memory is the boot loader's; Damaged says that it could not be read.
	Memory  boot.Memory
	Damaged bool
	// Boots are records of boots, the newest first.
	Boots []deployment.Boot
	// Booted is the deployment that runs, "" for another system.
	Booted string
	Now    time.Time
}

// A Change is what became known of a generation.
type Change struct {
	state.Found
	state.Verdict
	// Log is the end of the kernel's log of the boot that decided, or that ended last.
	Log string
}

// Judge notes in a document what has become known of what it has on trial.
func Judge(doc *state.Machine, seen Seen) (changes []Change) {
	for _, name := range doc.MenuOrder() {
		img := doc.Images[name]
		if img == nil {
			continue
		}
		for _, g := range img.Generations {
			v := doc.Verdicts[g.Deployment]
			if v == nil || v.State != boot.Trying {
				continue
			}
			next, log := judge(*v, g.Deployment, seen)
			if doc.Judge(g.Deployment, next); next.State != v.State {
				changes = append(changes, Change{state.Found{Image: name, Generation: g}, *doc.Verdicts[g.Deployment], log})
			}
		}
	}
	return changes
}

// judge is what is known of one deployment on trial.
func judge(v state.Verdict, id string, seen Seen) (next state.Verdict, log string) {
	entry := boot.EntryID(v.Image, id)
	good := seen.last(id, v.Since, deployment.BootGood)
	if good != nil || seen.Memory.Good == entry {
		next = state.Verdict{Image: v.Image, State: boot.Good, Since: seen.Now}
		if good != nil {
			next.Boot = good.ID
		}
		return next, ""
	}
	bad := seen.last(id, v.Since, deployment.BootBad)
	next = v
	switch {
	case seen.Memory.Trying == entry:
		next.Left = seen.Memory.Left
	case seen.Damaged && seen.Booted != id: // the boot loader took the other, and one is lost each time
		next.Left = max(v.Left-1, 0)
	default:
		return next, ""
	}
	if next.Left > 0 || seen.Booted == id && bad == nil {
		return next, ""
	}
	next = state.Verdict{Image: v.Image, State: boot.Bad, Since: seen.Now, Reason: "it never got so far that it could say why: the kernel ended, or hung"}
	if bad != nil {
		next.Reason, next.Boot, log = bad.Reason, bad.ID, bad.Last()
	} else if began := seen.last(id, v.Since, ""); began != nil {
		next.Reason, next.Boot, log = ended(began), began.ID, began.Last()
	}
	return next, log
}

// ended is why a boot of which nobody has decided is over.
func ended(b *deployment.Boot) string {
	if how := deployment.Ending(b.Crash); how != "" {
		return "its kernel ended: " + how
	}
	return "its last boot ended, or hung, before it was known to be good"
}

// last is the newest record of a deployment since a time with a verdict, nil if
// there is none.
func (s Seen) last(id string, since time.Time, verdict string) *deployment.Boot {
	i := slices.IndexFunc(s.Boots, func(b deployment.Boot) bool {
		return b.Deployment == id && b.Verdict == verdict && b.Trying && !b.Started.Before(since.Add(-clockSlack))
	})
	if i < 0 {
		return nil
	}
	return &s.Boots[i]
}

// clockSlack is how much a machine's clock may be behind when it starts.
const clockSlack = time.Minute

// String says what became known, for people.
func (c Change) String() string {
	name := fmt.Sprintf("%s, generation %d,", c.Image(), c.N)
	if c.State == boot.Bad {
		return name + " is bad: " + c.Reason
	}
	return name + " is " + c.State
}

// Image is the image's name.
func (c Change) Image() string { return c.Found.Image }
