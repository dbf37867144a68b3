package reconciler

import (
	"context"
	"errors"

	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
)

// testingBranch is the one that is staged for one boot of a machine.
func testingBranch(machine string) string { return "testing/" + machine }

// testing stages what the branch testing/MACHINE has, for one boot, once for each of
// its tips, and takes it away with the branch. The branch has to be on top of what
// is followed; what somebody tries by hand stays. That it fails is no failure of a
// run: what boots by itself is another.
func (r *Reconciler) testing(ctx context.Context, w *wanted.Wanted, wait bool) {
	doc, err := state.LoadMachine(r.Machine.Stage.Dir())
	if err != nil {
		return // the run has said it
	}
	name, tip := testingBranch(r.Machine.Name), w.Revision.Beside
	ours := doc.Trial != nil && doc.Trial.Source == name
	switch {
	case tip == "" && ours:
		_, err = r.Machine.Drop(ctx, wait)
	case tip == "" || tip == doc.Tried || tip == w.Revision.Hash || doc.Trial != nil && !ours:
		return
	default:
		_, err = r.Try(ctx, Trial{Name: name, OnTop: w.Revision.Hash, Wait: wait})
		if elsewhere := (*source.RewrittenError)(nil); errors.As(err, &elsewhere) {
			err = errors.New("it is not on top of what is followed: rebase it on revision " + plan.Short(w.Revision.Hash))
		}
		if ctx.Err() == nil {
			err = errors.Join(err, r.Machine.Note(ctx, wait, func(doc *state.Machine) error {
				doc.Tried = tip
				return nil
			}))
		}
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("the branch for one boot is left alone until it changes", "branch", name, "error", err)
	} else if err == nil {
		r.log.Info("followed the branch for one boot", "branch", name, "commit", plan.Short(tip))
	}
}
