package reconciler

import (
	"context"
	"errors"
	"maps"

	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/reconciler/workshop"
)

// Follow looks at the config repo whenever something on looks asks for it, until
// ctx ends, and has machine and workshop follow, each in its own time: what is
// built takes its hours while the machine converges on all else, and is taken
// when it is ready. What asks while a look goes on gets one more. Failed runs are
// logged; the next one tries again, but builds only when their time has come.
// Other runs' locks are waited for. With update each look asks for new digests.
func (r *Reconciler) Follow(ctx context.Context, looks <-chan string, update bool) error {
	once, lookups := r.inTurns(ctx)
	defer lookups.End()
	p := &poll{Reconciler: once, update: update, events: make(chan func(context.Context)), sweep: lookups.Sweep}
	for {
		select {
		case <-ctx.Done():
			p.wait()
			return nil
		case why := <-looks:
			p.look(ctx, why)
		case event := <-p.events:
			event(ctx)
		}
	}
}

// A poll is what goes on of one. Its fields are its own goroutine's: what runs
// beside it sends what is to be done next.
type poll struct {
	*Reconciler
	update bool
	events chan func(context.Context)
	sweep  func()
	// going counts what runs beside; looking says that the repo is being read, and
	// asked what asked for it to be read once more.
	going   int
	looking bool
	asked   string
	// latest is what is wanted, nil as long as that is not known.
	latest *wanted.Wanted
	// stop ends the machine's waiting for images that take long, nil while it does
	// not run; again says that it is to run once more.
	stop  chan struct{}
	again bool
	// building says that the workshop works, and job at what, nil while it only
	// looks.
	building bool
	job      *workshop.Job
}

// ask is the request of a run that something other than a person wants.
func (p *poll) ask(why string) Request {
	return Request{Trigger: why, Patient: true, Wait: true, Update: p.update}
}

// beside runs work in a goroutine, and then what it returns in the poll's own.
func (p *poll) beside(work func() func(context.Context)) {
	p.going++
	go func() {
		then := work()
		p.events <- func(ctx context.Context) {
			p.going--
			then(ctx)
		}
	}()
}

// wait waits for all that runs.
func (p *poll) wait() {
	for p.going > 0 {
		(<-p.events)(canceled())
	}
}

// canceled is a context in which nothing more is begun.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// look reads the config repo.
func (p *poll) look(ctx context.Context, why string) {
	if ctx.Err() != nil {
		return
	}
	if p.looking {
		p.asked = why
		return
	}
	p.looking = true
	p.beside(func() func(context.Context) {
		w, err := p.read(ctx, p.ask(why))
		p.Machine.NoteFailure(ctx, w.Revision.Hash, err)
		return func(ctx context.Context) {
			p.looking = false
			p.seen(ctx, why, w, err)
			if p.asked != "" {
				why, p.asked = p.asked, ""
				p.look(ctx, why)
			}
		}
	})
}

// seen follows what is wanted now.
func (p *poll) seen(ctx context.Context, why string, w *wanted.Wanted, err error) {
	if err != nil {
		p.logFailure(ctx, err)
		return
	}
	if p.latest != nil && w.Revision.Hash != p.latest.Revision.Hash {
		p.overtake(w)
	}
	p.latest = w
	p.converge(ctx, why)
	p.build(ctx, why)
}

// overtake tells what runs that a newer revision is there.
func (p *poll) overtake(newer *wanted.Wanted) {
	if p.job != nil {
		p.job.Supersede(newer)
	}
	if p.stop == nil {
		return
	}
	p.again = true // what runs notes the older one
	if !newer.Same(p.latest) {
		close(p.stop)
		p.stop = make(chan struct{})
	}
}

// ready asks for a run of the machine that takes what the workshop has made.
const ready = "workshop"

// converge has the machine make a run, now or after the one that goes on.
func (p *poll) converge(ctx context.Context, why string) {
	if p.stop != nil || ctx.Err() != nil {
		p.again = p.again || why == ready
		return
	}
	w, stop, req := p.latest, make(chan struct{}), p.ask(why)
	p.stop, p.again = stop, false
	p.beside(func() func(context.Context) {
		result, err := p.Machine.Run(ctx, w, req.machine(nil), stop)
		if !errors.Is(err, machine.ErrSuperseded) {
			p.Machine.NoteFailure(ctx, w.Revision.Hash, err)
		}
		return func(ctx context.Context) {
			p.stop = nil
			p.sweep()
			p.logRun(ctx, result, err)
			if p.again || errors.Is(err, machine.ErrSuperseded) {
				p.converge(ctx, why)
			}
		}
	})
}

// build has the workshop make what is to be made, unless it does already.
func (p *poll) build(ctx context.Context, why string) {
	if p.building || ctx.Err() != nil {
		return
	}
	p.building = true
	w, req := p.latest, p.ask(why).workshop()
	req.Ready = func() { // the machine takes each image as soon as it is ready
		p.events <- func(ctx context.Context) { p.converge(ctx, ready) }
	}
	p.beside(func() func(context.Context) {
		job, err := p.Shop.Look(ctx, w, req)
		return func(ctx context.Context) {
			if err != nil || job.Settled() || ctx.Err() != nil {
				p.building = false
				p.logMade(ctx, job, err)
				return
			}
			p.make(ctx, why, job)
		}
	})
}

func (p *poll) make(ctx context.Context, why string, job *workshop.Job) {
	p.job = job
	if p.latest != job.Wanted {
		job.Supersede(p.latest)
	}
	p.beside(func() func(context.Context) {
		err := job.Begin(ctx)
		if err == nil {
			err = errors.Join(job.Make(ctx), job.Publish(ctx), job.End())
		}
		return func(ctx context.Context) {
			p.job, p.building = nil, false
			p.logMade(ctx, job, err)
			p.converge(ctx, ready)
			if !job.Same(p.latest) {
				p.build(ctx, why)
			}
		}
	})
}

func (p *poll) logFailure(ctx context.Context, err error) {
	if errors.As(err, new(*plan.SuspendedError)) {
		p.log.Debug("nothing is changed", "reason", err)
		return
	}
	if ctx.Err() == nil {
		p.log.Error("reconcile failed; the next try is at the next poll", "error", err)
	}
}

func (p *poll) logRun(ctx context.Context, result machine.Result, err error) {
	failed := maps.Clone(result.Failed)
	maps.DeleteFunc(failed, func(_ string, err error) bool { return waiting(err) })
	switch {
	case errors.Is(err, machine.ErrSuperseded):
		p.log.Info("starting over with the newer revision")
	case err != nil || len(failed) > 0:
		p.logFailure(ctx, errors.Join(err, imageErrors(failed)))
	case result.Changed && result.Plan.Menu != "":
		p.log.Info("converged; the next boot is the new one", "machine", p.Machine.Name, "revision", plan.Short(result.Plan.To), "deployments", len(result.Plan.Stagings))
	}
}

func (p *poll) logMade(ctx context.Context, job *workshop.Job, err error) {
	failed := job.Failed()
	maps.DeleteFunc(failed, func(_ string, err error) bool { return waiting(err) })
	switch {
	case errors.Is(err, workshop.ErrSuperseded):
		p.log.Info("starting over with the newer revision")
	case err != nil || len(failed) > 0:
		p.logFailure(ctx, errors.Join(err, imageErrors(failed)))
	case len(job.Failed()) > 0:
		p.log.Debug("waiting to try again what failed", "error", imageErrors(job.Failed()))
	}
}

// waiting reports whether an image's failure is an old one, or follows from
// one, or that it is still being looked up or made: nothing has failed now.
func waiting(err error) bool {
	return errors.As(err, new(*workshop.BackoffError)) || errors.As(err, new(*workshop.ParentError)) ||
		errors.As(err, new(*origin.ComingError)) || errors.As(err, new(*machine.PendingError))
}
