package reconciler

import (
	"context"
	"errors"

	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
)

// restart has the machine restarted if what is new is to be booted now. That it was
// is on the disk before: a deployment that does not come up is not tried again and
// again.
func (p *poll) restart(ctx context.Context) {
	if p.watch.Restart == nil || p.latest == nil || ctx.Err() != nil {
		return
	}
	r, err := report.RebootOf(ctx, &p.Machine.Book)
	if err == nil && r.Needed {
		err = restartFor(ctx, p.Reconciler, p.latest, r, p.watch.Restart)
	}
	if err != nil {
		p.log.Warn("the machine is not restarted", "error", err)
	}
}

// restartFor restarts the machine for what boots next, if its time has come.
func restartFor(ctx context.Context, r *Reconciler, w *wanted.Wanted, needed report.Reboot, restart func(context.Context, string) error) (err error) {
	dir := r.Machine.Stage.Dir()
	doc, err := state.LoadMachine(dir)
	if err != nil {
		return err
	}
	find := r.Machine.Find
	find.CheckClock(doc.Newest())
	now := r.Machine.Now()
	due := plan.Restart{
		Now: now, Allowed: true, Next: nextOf(needed), Tried: doc.Restarted, Windows: spec.Windows(w.Wants.Reboots, now.Location()),
		Doubt: find.Unset, Suspension: doc.Suspension,
	}.Due()
	if !due {
		return nil
	}
	lock, err := r.Machine.Stage.Lock(ctx, false)
	if err != nil {
		return err
	}
	if doc, err = state.LoadMachine(dir); err == nil {
		doc.Restarted = nextOf(needed)
		err = doc.Save(dir)
	}
	if err = errors.Join(err, lock.Release()); err != nil {
		return err
	}
	return restart(ctx, needed.Line())
}
