package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
)

// ErrNothingWaits says that there is nothing to approve.
var ErrNothingWaits = errors.New("nothing waits to be approved; `gitboot plan` shows what the next run does")

// Approved is what waited to be published, and what publishing it does. The JSON
// fields are stable.
type Approved struct {
	Revision string        `json:"revision"`
	Since    time.Time     `json:"since"`
	Actions  []plan.Action `json:"actions"`
	// Done says that it was published, and not only looked at.
	Done bool `json:"done"`
}

// Approve publishes what is staged and waits, at once: whatever it waits for, and
// whether or not the config repo or a registry can be reached. A revision, which
// may be shortened, has to be the one that waits. The reason may be empty.
func (o Operator) Approve(ctx context.Context, revision, why string) (a Approved, err error) {
	if err := CheckText("reason", why); err != nil {
		return a, err
	}
	err = o.change(ctx, func(doc *state.Machine) (d decision, err error) {
		if a, err = pending(doc, revision); err != nil {
			return d, err
		}
		doc.Publish(o.now())
		return decision{"approved revision " + plan.Short(a.Revision), why, a.Revision}, nil
	})
	a.Done = err == nil
	return a, err
}

// Pending is what Approve would publish on the stage in dir.
func Pending(dir, revision string) (Approved, error) {
	doc, err := state.LoadMachine(dir)
	if err != nil {
		return Approved{}, err
	}
	return pending(doc, revision)
}

// pending is what waits, if it is of the revision, or of any without one.
func pending(doc *state.Machine, revision string) (Approved, error) {
	w := doc.Waiting
	switch {
	case w == nil:
		return Approved{}, ErrNothingWaits
	case !strings.HasPrefix(w.Revision, revision):
		return Approved{}, fmt.Errorf("revision %.40q does not wait; %s does, since %s", revision, plan.Short(w.Revision), w.Since.Local().Format("2006-01-02 15:04"))
	}
	if i := slices.IndexFunc(w.Holds, func(h plan.Hold) bool { return h.Firm }); i >= 0 {
		return Approved{}, fmt.Errorf("revision %s waits %s, which nobody's approval stands in for", plan.Short(w.Revision), w.Holds[i])
	}
	return Approved{Revision: w.Revision, Since: w.Since, Actions: doc.Unpublished()}, nil
}
