package plan

import (
	"fmt"
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

// bad is what is known of what is wanted, nil if it is not known to be bad.
func (o Observed) bad(w Want) *Bad {
	for _, b := range o.Bad {
		if b.Image == w.Image && !w.Building && len(Differences(b.Inputs, w.Inputs)) == 0 {
			return &b
		}
	}
	return nil
}
