package reconciler

import (
	"context"
	"errors"
	"time"

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
// run: what boots by itself is another. doc is the machine's document, nil if it is to be
// read; now is that as it is then, nil if that is not known, and stands why the branch
// could not be staged.
func (r *Reconciler) testing(ctx context.Context, w *wanted.Wanted, doc *state.Machine, wait bool) (now *state.Machine, stands *state.Failure) {
	var err error
	if doc == nil {
		if doc, err = state.LoadMachine(r.Machine.Stage.Dir()); err != nil {
			return nil, nil // the run has said it
		}
	}
	name, tip := testingBranch(r.Machine.Name), w.Revision.Beside
	ours, gone := doc.Trial != nil && doc.Trial.Source == name, tip == "" || tip == w.Revision.Hash
	switch {
	case tip == "" && ours:
		_, err = r.Machine.Drop(ctx, wait)
	case gone && doc.TestingFailure == nil, !gone && (tip == doc.Tried || doc.Trial != nil && !ours):
		return doc, doc.TestingFailure
	case !gone:
		_, err = r.Try(ctx, Trial{Name: name, OnTop: w.Revision.Hash, Wait: wait})
		if elsewhere := (*source.RewrittenError)(nil); errors.As(err, &elsewhere) {
			err = errors.New("it is not on top of what is followed: rebase it on revision " + plan.Short(w.Revision.Hash))
		}
	}
	if ctx.Err() != nil {
		return nil, doc.TestingFailure
	}
	now, stands, noted := r.noteTesting(ctx, doc, tip, err, wait)
	switch err = errors.Join(err, noted); {
	case err != nil:
		r.log.Warn("the branch for one boot is left alone until it changes", "branch", name, "error", err)
	case gone:
		r.log.Info("the branch for one boot is gone", "branch", name)
	default:
		r.log.Info("followed the branch for one boot", "branch", name, "commit", plan.Short(tip))
	}
	return now, stands
}

// noteTesting remembers which tip was staged, or why it could not be. That what was
// tried could not be taken away is tried again.
func (r *Reconciler) noteTesting(ctx context.Context, was *state.Machine, tip string, failure error, wait bool) (now *state.Machine, stands *state.Failure, err error) {
	if failure != nil {
		stands = was.TestingFailure.OfRun(failure, tip, r.Machine.Now().UTC().Truncate(time.Second))
	}
	err = r.Machine.Note(ctx, wait, func(doc *state.Machine) error {
		if doc.TestingFailure = stands; tip != "" {
			doc.Tried = tip
		}
		return nil
	}, func(doc *state.Machine) error {
		now = doc
		return nil
	})
	return now, stands, err
}
