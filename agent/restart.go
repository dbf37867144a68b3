package agent

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/agent/reboot"
	"github.com/gitboot/gitboot/internal/program"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/event"
)

// restarting restarts the machine when that is needed, as its owner allows; nil
// where people do it.
func (a *Agent) restarting(ctx context.Context, set Setup) func(reconciler.Restart) {
	if set.Reboot == "" || set.Reboot == reboot.Never {
		return nil
	}
	said := ""
	return func(r reconciler.Restart) {
		v := reboot.Decide(a.situation(set, r))
		if why := v.Why; !v.Now && why != said {
			said = why
			a.Log.Info("a reboot is needed; the machine is not restarted now", "needed", r.Why, "because", why)
		}
		if v.Now {
			a.restart(ctx, set, r)
		}
	}
}

func (a *Agent) situation(set Setup, r reconciler.Restart) reboot.Situation {
	s := reboot.Situation{
		Policy: set.Reboot, Now: a.Now(), Windows: r.Windows, Doubt: r.Doubt, Needed: r.Why, Tried: r.Next == r.Tried, Up: uptime(),
	}
	if r.Suspended {
		s.Busy = append(s.Busy, "the suspension")
	}
	for _, run := range a.Board.Snapshot().Runs {
		s.Busy = append(s.Busy, busy(run))
	}
	return s
}

func busy(r live.Run) string { return "what the " + r.Part + " does" }

// restart tells of it first: what is told is all that is seen of it from outside.
func (a *Agent) restart(ctx context.Context, set Setup, r reconciler.Restart) {
	err := set.Reconciler.NoteRestart(ctx, r.Next)
	if err == nil {
		a.Log.Info("restarting the machine", "needed", r.Why)
		a.tell(event.Event{Time: a.Now().UTC(), Kind: event.Restarting, Machine: set.Reconciler.Machine.Name, Part: event.Machine, Reason: r.Why})
		err = program.Reboot(ctx)
	}
	if err != nil {
		a.Log.Error("the machine is not restarted", "error", err)
	}
}

// uptime is how long ago the machine was started (proc_uptime(5)), none if that is
// not known.
func uptime() time.Duration {
	data, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(data), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}
