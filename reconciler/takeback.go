package reconciler

import (
	"context"
	"errors"

	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/revert"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/state"
)

// takeBack pushes what takes back commits that have brought something bad, if there is
// anything to take back, and returns what has become known.
func takeBack(ctx context.Context, r *Reconciler, patient bool) []state.Revert {
	dir := r.Machine.Stage.Dir()
	doc, err := state.LoadMachine(dir)
	if err != nil || len(state.Pending(doc.Reverts)) == 0 {
		return nil
	}
	job := revert.Job{Machine: r.Machine.Name, Stage: dir, Source: r.Repo.Source, Patient: patient, Now: r.Machine.Now}
	changed := job.Try(ctx, state.Pending(doc.Reverts))
	if len(changed) == 0 {
		return nil
	}
	err = r.Machine.Note(ctx, true, func(doc *state.Machine) error {
		revert.Note(doc, changed)
		return nil
	})
	if err != nil {
		r.log.Warn("what was taken back is not noted", "error", err)
	}
	for _, c := range changed {
		if c.Failure != nil {
			r.log.Error(revert.Words(c))
		} else {
			r.log.Info(revert.Words(c))
		}
	}
	return changed
}

// takeBack pushes beside all else, which a server that is away must not hold up.
func (p *poll) takeBack(ctx context.Context) {
	if p.takingBack {
		return
	}
	p.takingBack = true
	p.beside(func() func(context.Context) {
		changed := takeBack(ctx, p.Reconciler, true)
		return func(context.Context) {
			p.takingBack = false
			p.teller.tookBack(changed)
		}
	})
}

// tookBack tells what was taken back, and of what cannot be, once.
func (t *teller) tookBack(changed []state.Revert) {
	for _, r := range changed {
		var err error
		if r.Failure != nil {
			err = errors.New(r.Failure.Message)
		}
		t.fails(subject{part: event.Revert}, source.Revision{Hash: r.Bad}, err)
		if err == nil {
			t.tell(event.Event{Kind: event.Reverted, Part: event.Revert, Revision: r.Bad, Image: r.Image, Generation: r.Generation, Reason: revert.Words(r)})
		}
	}
}
