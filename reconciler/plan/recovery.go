package plan

import (
	"cmp"
	"time"
)

// A Recovery is what is known of a machine's recovery entry.
type Recovery struct {
	// Wanted tells what is declared of it, "" if none is; Made what was when it was
	// made, "" if it was not.
	Wanted, Made string
	// Damaged says what it lacks on the stage.
	Damaged string
	// Source says that there is an image to make it of, or will be.
	Source bool
	// Failed are the tries in vain, if the last one was.
	Failed  *Tries
	Patient bool
}

// Whole reports whether there is an entry as it is declared.
func (r Recovery) Whole() bool { return r.Made == r.Wanted && r.Damaged == "" }

// Reason says why a recovery entry is to be made, "" if it need not be, or cannot.
func (r Recovery) Reason(now time.Time) string {
	switch {
	case r.Wanted == "" || !r.Source:
		return ""
	case r.Failed != nil && r.Failed.Key == r.Wanted && r.Patient && r.Failed.Rest(now):
		return "" // it is left alone for a while
	case r.Made == "":
		return "there is none yet"
	case r.Made != r.Wanted:
		return "what is declared of it changed"
	case r.Damaged != "":
		return "it " + r.Damaged
	}
	return ""
}

// Recover has the recovery entry made, for a reason, in place of the deployment that
// it had; with neither nothing changes.
func (p *Plan) Recover(reason, before string) {
	if p.Recovery = reason; reason == "" {
		return
	}
	if before != "" {
		p.Removals = append(p.Removals, Removal{Deployment: before, Reason: "the recovery entry is made anew"})
	}
	p.Menu = cmp.Or(p.Menu, entriesChange)
}
