package plan

import (
	"fmt"
	"strings"
	"time"
)

// A Bad is a deployment that was tried and has proved not to boot, or not to work.
// What it was made from is not staged again.
type Bad struct {
	Image, Deployment string
	Inputs            Inputs
	Since             time.Time
	Reason            string
}

// String says it for people.
func (b *Bad) String() string {
	return fmt.Sprintf("what is wanted is known to be bad since %s: %s; change it, or try it once more with `gitboot reconcile --once --retry`", clock(b.Since), b.Reason)
}

// An UntestedError says that what is wanted did not come up in a virtual machine, and
// so is in no menu.
type UntestedError struct {
	Since  time.Time
	Reason string
	// Console are the last lines that it printed.
	Console []string
}

func (e *UntestedError) Error() string {
	text := "boot test: " + e.Reason + "; it has no menu entry since " + clock(e.Since) + ": change it, or test it once more with `gitboot reconcile --once --retry`"
	if len(e.Console) > 0 {
		text += "; its last lines:\n    " + strings.Join(e.Console, "\n    ")
	}
	return text
}

// bad is what is known of what is wanted, nil if it is not known to be bad.
func (o Observed) bad(w Want) *Bad {
	for _, b := range o.Bad {
		if b.Image == w.Image && !w.Building && len(Differences(b.Inputs, w.Inputs)) == 0 {
			return &b
		}
	}
	return nil
}
