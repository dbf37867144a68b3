package agent

import (
	"context"
	"time"

	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/integrity"
)

// verifyAsk is what asks for a run after something damaged was found.
const verifyAsk = "verify"

// clockLook is how often it is looked whether the time has come: a clock may be set,
// and a machine sleep.
const clockLook = time.Hour

// verify has the stage verified when its time has come, until ctx ends. What is
// damaged is then made again by the run that it asks for.
func (a *Agent) verify(ctx context.Context, set Setup) {
	dir, started := set.Reconciler.Machine.Stage.Dir(), a.Now()
	for {
		next := integrity.Next(set.Verify, integrity.Last(dir), started)
		if next.IsZero() {
			return
		}
		if ctxio.Sleep(ctx, min(max(next.Sub(a.Now()), 0), clockLook)) != nil {
			return
		}
		if a.Now().Before(next) {
			continue
		}
		if !a.verifyNow(ctx, dir) && ctxio.Sleep(ctx, clockLook) != nil {
			return
		}
	}
}

// verifyNow reports whether the stage was verified.
func (a *Agent) verifyNow(ctx context.Context, dir string) bool {
	a.Log.Info("verifying the stage")
	look, err := integrity.Verify(ctx, dir, integrity.Pace, a.Now, nil)
	if err != nil {
		if ctx.Err() == nil {
			a.Log.Error("the stage could not be verified", "error", err)
		}
		return false
	}
	for _, d := range look.Damage {
		a.Log.Error("the stage is damaged", "path", d.Path, "what", d.What, "deployments", d.Deployments)
	}
	a.Log.Info("verified the stage", "damaged", len(look.Damage), "took", look.Ended.Sub(look.Began))
	if look.Marked > 0 {
		a.ask(ctx, reconciler.Ask{Trigger: verifyAsk})
	}
	return true
}
