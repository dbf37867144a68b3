package agent

import (
	"context"
	"errors"
	"time"

	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/internal/program"
	"github.com/gitboot/gitboot/reconciler"
)

// overtakes is how long before an ordinary restart that was announced the machine goes
// down by kexec: time to load a kernel. If anything fails, the ordinary one comes.
const overtakes = 30 * time.Second

// down has the machine restarted, with the notice that is due.
func (r *restarter) down(ctx context.Context, why string) error {
	minutes, kexec := r.set.Reboot.Minutes(), r.set.Reboot.ByKexec()
	if kexec && minutes <= 0 && r.kexec(ctx) {
		return nil
	}
	argument, err := reconciler.Restarting(ctx, r.set.Reconciler)
	if err == nil {
		err = program.RebootIn(ctx, minutes, "gitboot: "+why, argument)
	}
	if err == nil && kexec && minutes > 0 {
		go r.overtake(ctx)
	}
	return err
}

// overtake restarts the machine by kexec just before it would be restarted, unless that
// is taken back.
func (r *restarter) overtake(ctx context.Context) {
	at, known := program.RebootAt()
	if !known {
		r.ordinary(errors.New("the init of this system does not say when it is"))
		return
	}
	if ctxio.Sleep(ctx, time.Until(at)-overtakes) != nil {
		return
	}
	if still, known := program.RebootAt(); known && still.Equal(at) {
		r.kexec(ctx)
	}
}

// kexec restarts the machine by kexec, or says why that cannot be, once for each restart.
// Another process does it: the agent, and what it starts, may load no kernel.
func (r *restarter) kexec(ctx context.Context) bool {
	err := program.ByInit(ctx, r.set.Kexec...)
	if err != nil {
		r.ordinary(err)
	}
	return err == nil
}

// ordinary says why the machine is restarted by firmware and boot loader.
func (r *restarter) ordinary(because error) {
	r.Log.Warn("the machine is restarted by firmware and boot loader, not by kexec", "because", because)
}
