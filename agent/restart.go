package agent

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/agent/reboot"
	"github.com/gitboot/gitboot/internal/presence"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/event"
)

// A restarter restarts the machine when that is needed, as its owner allows.
type restarter struct {
	*Agent
	set Setup
	// said is why it was not done the last time, so that it is said once.
	said string
	// asked is the deployment for which a restart was asked for already.
	asked string
	// since is when who is present began to hold it up.
	since time.Time
}

// restarting is nil where people restart the machine.
func (a *Agent) restarting(ctx context.Context, set Setup) func(reconciler.Restart) {
	if !set.Reboot.ByItself() {
		return nil
	}
	r := &restarter{Agent: a, set: set}
	return func(needed reconciler.Restart) { r.consider(ctx, needed) }
}

func (r *restarter) consider(ctx context.Context, needed reconciler.Restart) {
	if needed.Why == "" {
		r.Board.SetRestart("")
		r.said, r.since = "", time.Time{}
		return
	}
	if needed.Next == r.asked {
		return
	}
	v := reboot.Decide(r.situation(ctx, needed))
	switch {
	case !v.Disturbs:
		r.since = time.Time{}
	case r.since.IsZero():
		r.since = r.Now()
	}
	if v.Now {
		v.Why = r.restart(ctx, needed)
	}
	r.say(needed, v.Why)
}

// say tells why a restart that is needed is not made now, "" if it is.
func (r *restarter) say(needed reconciler.Restart, because string) {
	if because == "" {
		r.Board.SetRestart("asked for, with a notice of " + r.notice().String())
	} else if r.Board.SetRestart("not yet, because " + because); because != r.said {
		r.Log.Info("a reboot is needed; the machine is not restarted now", "needed", needed.Why, "because", because)
	}
	r.said = because
}

func (r *restarter) situation(ctx context.Context, needed reconciler.Restart) reboot.Situation {
	s := reboot.Situation{
		Policy: r.set.Reboot.Policy, Now: r.Now(), Windows: needed.Windows, Doubt: needed.Doubt, Needed: needed.Why, Tried: needed.Next == needed.Tried,
		OnTrial: needed.OnTrial, Up: uptime(), Uptime: r.set.Reboot.Uptime, Patience: r.set.Reboot.Patience,
	}
	if needed.Suspended {
		s.Busy = append(s.Busy, "the suspension")
	}
	for _, run := range r.Board.Snapshot().Runs {
		s.Busy = append(s.Busy, busy(run))
	}
	if !r.since.IsZero() {
		s.Held = r.Now().Sub(r.since)
	}
	var err error
	if s.Present, err = presence.Look(ctx); err != nil {
		r.Log.Debug("who is present is not known", "error", err)
	}
	return s
}

func busy(run live.Run) string { return "what the " + run.Part + " does" }

// restart has the machine restarted, with leave, and returns why it has not. It
// tells of it first: what is told is all that is seen of it from outside.
func (r *restarter) restart(ctx context.Context, needed reconciler.Restart) string {
	if r.set.Leave.URL != "" {
		if err := r.set.Leave.Lock(ctx); err != nil {
			return err.Error()
		}
	}
	err := r.set.Reconciler.NoteRestart(ctx, needed.Next)
	if err == nil {
		r.Log.Info("restarting the machine", "needed", needed.Why, "in", r.notice())
		r.tell(event.Event{Time: r.Now().UTC(), Kind: event.Restarting, Machine: r.set.Reconciler.Machine.Name, Part: event.Machine, Reason: needed.Why})
		err = r.down(ctx, needed.Why)
	}
	if err == nil {
		r.asked = needed.Next
		return ""
	}
	r.Log.Error("the machine is not restarted", "error", err)
	if r.set.Leave.URL != "" {
		err = errors.Join(err, r.set.Leave.Unlock(ctx))
	}
	return err.Error()
}

// notice is how long before it people are told.
func (r *restarter) notice() time.Duration {
	return time.Duration(r.set.Reboot.Minutes()) * time.Minute
}

// look is how often is looked whether the machine has come up as it should.
const look = time.Minute

// arrive gives the leave to restart back, once the machine has come up as it
// should. One that has not keeps it: the next machine would fare no better.
func (a *Agent) arrive(ctx context.Context, set Setup) {
	ticks := time.NewTicker(look)
	defer ticks.Stop()
	for said := ""; ; {
		why, err := reconciler.Unproven(ctx, set.Reconciler)
		if err == nil && why == "" {
			if err = set.Leave.Unlock(ctx); err == nil {
				return
			}
		}
		if err != nil {
			why = err.Error()
		}
		if ctx.Err() == nil && why != said {
			a.Log.Warn("the leave to restart is not given back yet", "because", why)
		}
		said = why
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
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
