package reconciler

import (
	"context"
	"errors"

	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/schedule"
	"github.com/gitboot/gitboot/spec"
)

// A Restart is what is known of one that would boot what is new. Whether it is made
// is for others to decide.
type Restart struct {
	// Next is the deployment that it would boot, Tried the one that the machine was
	// restarted for before, and Why what it brings, in a line, "" if none is needed.
	Next, Tried, Why string
	// Windows are when it may be; Doubt says why the clock is not believed.
	Windows schedule.Windows
	Doubt   string
	// OnTrial says that the boot that runs is not judged yet.
	OnTrial bool
	// Suspended says that nothing is to happen by itself.
	Suspended bool
}

// restart tells of a restart that is needed, and that none is.
func (p *poll) restart(ctx context.Context) {
	if p.watch.Restart == nil || p.latest == nil || ctx.Err() != nil {
		return
	}
	doc, err := state.LoadMachine(p.Machine.Stage.Dir())
	var needed report.Reboot
	if err == nil {
		needed, err = report.RebootOf(ctx, &p.Machine.Book, doc)
	}
	switch {
	case err != nil:
		p.log.Warn("whether the machine is to be restarted is not known", "error", err)
	case needed.Needed:
		p.watch.Restart(p.restartFor(needed, doc))
	default:
		p.watch.Restart(Restart{})
	}
}

func (p *poll) restartFor(needed report.Reboot, doc *state.Machine) Restart {
	find, now := p.Machine.Find, p.Machine.Now()
	find.CheckClock(doc.Newest())
	return Restart{
		Next: nextOf(needed), Tried: doc.Restarted, Why: needed.Line(), Windows: spec.Windows(p.latest.Wants.Reboots, p.latest.Wants.Machine, now.Location()),
		OnTrial: machine.Bench{Machine: &p.Machine}.Awaits(doc), Doubt: find.Unset, Suspended: doc.Suspension.Stands(now),
	}
}

// NoteRestart keeps that the machine is about to be restarted for a deployment: one
// that does not come up is not tried again and again.
func (r *Reconciler) NoteRestart(ctx context.Context, next string) error {
	lock, err := r.Machine.Stage.Lock(ctx, false)
	if err != nil {
		return err
	}
	_, err = state.Edit(r.Machine.Stage.Dir(), func(doc *state.Machine) error {
		doc.Restarted = next
		return nil
	})
	return errors.Join(err, lock.Release())
}

// Restarting has the boot loader get ready for a restart of the machine, and returns what the
// firmware is to be handed.
func Restarting(ctx context.Context, r *Reconciler) (argument string, err error) {
	return machine.Restarting(ctx, &r.Machine, false)
}

// Unproven says why the machine cannot be said to have come up as it should, "" if
// it has: what it runs is good, and so is what it was restarted for the last time.
func Unproven(ctx context.Context, r *Reconciler) (string, error) {
	doc, err := state.LoadMachine(r.Machine.Stage.Dir())
	if err != nil {
		return "", err
	}
	return doc.Verdicts.Unproven(r.Machine.Book.Booted, doc.Restarted), nil
}
