package reconciler

import (
	"context"
	"time"

	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// An Ask is a wish for a look at the config repo, and for what follows from it.
type Ask struct {
	// Trigger is what asks, for the record.
	Trigger string
	// Update looks for new digests whether or not a schedule is due.
	Update bool
	// Person does not wait until what has failed may be tried again.
	Person bool
	// Done, if set, is told when nothing is left to do, with what failed of it.
	Done func(error)
}

// and is one wish for both: what asked first is what asks. A nil one is none.
func (a *Ask) and(other Ask) *Ask {
	if a == nil {
		return &Ask{Trigger: other.Trigger, Update: other.Update, Person: other.Person}
	}
	return &Ask{Trigger: a.Trigger, Update: a.Update || other.Update, Person: a.Person || other.Person}
}

// Follow looks at the config repo whenever it is asked to, until ctx ends, and has
// machine and workshop follow, each in its own time: what is built takes its hours
// while the machine converges on all else, and is taken when it is ready. What
// asks while a look goes on gets one more. Failed runs are logged; the next one
// tries again, but builds only when their time has come. Other runs' locks are
// waited for.
func (r *Reconciler) Follow(ctx context.Context, asks <-chan Ask, w Watch) {
	once, lookups := r.inTurns(ctx)
	defer lookups.End()
	p := &poll{
		Reconciler: once, events: make(chan func(context.Context)), sweep: lookups.Sweep, outcome: map[string]error{},
		teller: newTeller(w.Tell, r.Machine.Name, r.Machine.Now), journal: newJournal(once.log, r.Machine.Now),
	}
	p.teller.remember(r.Machine.Stage.Dir())
	p.reboot(ctx, nil)
	p.watch = w
	beat := w.beat()
	for {
		select {
		case <-ctx.Done():
			p.wait()
			p.answer(context.Cause(ctx))
			return
		case ask := <-asks:
			p.ask(ctx, ask)
		case event := <-p.events:
			event(ctx)
		case <-beat:
			w.Alive()
		}
		p.settle(ctx)
	}
}

// A Watch is who wants to know how following goes.
type Watch struct {
	// Tell is told what happens, from several goroutines; nil to tell nobody.
	Tell func(event.Event)
	// Next is told, whenever nothing is left to do, what comes by itself; nil to
	// tell nobody.
	Next func([]plan.Coming)
	// Alive is called so often as long as nothing has got stuck; 0 means never.
	Alive func()
	Every time.Duration
	// Restart is told, when nothing is left to do, of one that would boot something
	// new; nil to tell nobody.
	Restart func(Restart)
	// Rest is called when nothing is left to do after something was done; may be nil.
	Rest func()
}

func (w Watch) beat() <-chan time.Time {
	if w.Every <= 0 {
		return nil
	}
	return time.Tick(w.Every)
}
