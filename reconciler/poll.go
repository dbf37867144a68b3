package reconciler

import (
	"context"
	"errors"
	"slices"

	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/verdict"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/reconciler/workshop"
)

// A poll is what goes on of one. Its fields are its own goroutine's: what runs
// beside it sends what is to be done next.
type poll struct {
	*Reconciler
	teller  *teller
	journal *journal
	events  chan func(context.Context)
	sweep   func()
	watch   Watch
	// going counts what runs beside; looking says that the repo is being read, and
	// next is the wish for it to be read once more, nil without one.
	going   int
	looking bool
	next    *Ask
	// waiting are told when nothing is left to do, and outcome is what they are
	// told: the last error of each part.
	waiting []func(error)
	outcome map[string]error
	// looked says that something was, and worked that more was done than that.
	looked, worked bool
	// last is what was read last, good or refused; latest is what is wanted, nil as
	// long as that is not known.
	last   *wanted.Wanted
	latest *wanted.Wanted
	// stop ends the machine's waiting for images that take long, nil while it does
	// not run; again is the wish for it to run once more, nil without one.
	stop  chan struct{}
	again *Ask
	// unplug ends the boot tests that go on, nil while none do, and booting are the
	// deployments that they are of.
	unplug  context.CancelFunc
	booting []string
	// building says that the workshop works, and job at what, nil while it only
	// looks; more is the wish for it to look once more, nil without one.
	building bool
	job      *workshop.Job
	more     *Ask
	// signing says that what other machines boot is signed; resign is the wish for that to
	// be done once more, nil without one.
	signing bool
	resign  *Ask
	// takingBack says that what takes back commits is pushed.
	takingBack bool
}

// request is what a part is asked for.
func (a Ask) request() Request {
	return Request{Trigger: a.Trigger, Patient: !a.Person, Wait: true, Update: a.Update}
}

// ask takes a wish. What cannot be looked for now is one wish, whoever asks.
func (p *poll) ask(ctx context.Context, ask Ask) {
	if ask.Done != nil {
		p.waiting = append(p.waiting, ask.Done)
	}
	if !p.looking {
		p.look(ctx, ask)
		return
	}
	p.next = p.next.and(ask)
}

// settle tells what comes by itself, and those who wait when nothing is left to do.
func (p *poll) settle(ctx context.Context) {
	builds := p.going == 1 && p.job != nil // and does nothing else, for hours perhaps
	if p.going > 0 && !builds {
		return
	}
	looked := p.looked
	if p.looked = false; looked {
		p.foretell()
	}
	if builds {
		return
	}
	if looked {
		p.restart(ctx)
	}
	if len(p.waiting) > 0 {
		p.answer(errors.Join(p.outcome[event.Repo], p.outcome[event.Workshop], p.outcome[event.Machine], p.outcome[event.Signing]))
	}
	if p.worked && p.watch.Rest != nil {
		p.worked = false
		p.watch.Rest()
	}
}

// foretell tells what comes by itself.
func (p *poll) foretell() {
	if p.watch.Next == nil {
		return
	}
	coming, err := Coming(p.Reconciler, p.latest)
	if err != nil {
		p.log.Debug("what comes by itself is not known", "error", err) // the run has said so
		return
	}
	p.watch.Next(coming)
}

func (p *poll) answer(err error) {
	for _, done := range p.waiting {
		done(err)
	}
	p.waiting = nil
}

// beside runs work in a goroutine, and then what it returns in the poll's own.
func (p *poll) beside(work func() func(context.Context)) {
	p.going++
	go func() {
		then := work()
		p.events <- func(ctx context.Context) {
			p.going--
			p.looked = true
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
func (p *poll) look(ctx context.Context, ask Ask) {
	if ctx.Err() != nil {
		return
	}
	p.looking = true
	known := p.last
	p.beside(func() func(context.Context) {
		w := &wanted.Wanted{}
		var judged []verdict.Change
		doc, err := state.LoadMachine(p.Machine.Stage.Dir())
		if err == nil {
			judged, doc, err = p.judge(ctx, doc)
		}
		if err == nil {
			w, err = p.readOn(ctx, doc, ask.request(), known)
		}
		unnoted := p.Machine.NoteFailure(ctx, w.Revision.Hash, err)
		return func(ctx context.Context) {
			p.journal.unnoted(unnoted)
			p.teller.judged(judged, &p.Machine.Book)
			if p.looking = false; w.Revision.Hash != "" {
				p.last = w
			}
			p.seen(ctx, ask, w, err)
			if next := p.next; next != nil {
				p.next = nil
				p.look(ctx, *next)
			}
		}
	})
}

// seen follows what is wanted now.
func (p *poll) seen(ctx context.Context, ask Ask, w *wanted.Wanted, err error) {
	if ctx.Err() == nil {
		p.teller.looks(ask.Trigger, w, err)
	}
	p.outcome[event.Repo] = err
	if err != nil {
		p.journal.failed(ctx, event.Repo, err)
		return
	}
	p.journal.well(event.Repo)
	if p.latest == nil || w.Revision.Hash != p.latest.Revision.Hash {
		p.worked = true
		p.overtake(w)
	}
	p.latest = w
	p.converge(ctx, ask)
	p.build(ctx, ask)
}

// overtake tells what runs that a newer revision is there.
func (p *poll) overtake(newer *wanted.Wanted) {
	if p.job != nil {
		p.job.Supersede(newer)
	}
	if p.stop != nil && !newer.Same(p.latest) {
		close(p.stop)
		p.stop = make(chan struct{})
	}
}

// ready asks for a run of the machine that takes what the workshop has made.
const ready = "workshop"

// signatureTrigger asks for the run that publishes what is staged, if that was signed.
const signatureTrigger = "signature"

// converge has the machine make a run, now or after the one that goes on.
func (p *poll) converge(ctx context.Context, ask Ask) {
	switch {
	case p.stop != nil:
		p.again = p.again.and(ask)
		return
	case ctx.Err() != nil:
		return
	}
	w, stop, why := p.latest, make(chan struct{}), ask.Trigger
	req := ask.request().machine(nil)
	req.Begin = func(todo plan.Plan) { p.teller.begins(event.Machine, why, w.Revision, todo.MachineActions()) }
	req.Step = p.teller.step(event.Machine, why, w.Revision)
	p.stop, p.again = stop, nil
	p.beside(func() func(context.Context) {
		result, err := p.Machine.Run(ctx, w, req, stop)
		var unnoted error
		if !errors.Is(err, machine.ErrSuperseded) {
			unnoted = p.Machine.NoteFailure(ctx, w.Revision.Hash, err)
		}
		var testing *state.Failure
		if err == nil {
			result.State, testing = p.testing(ctx, w, result.State, true)
		}
		return func(ctx context.Context) {
			p.journal.unnoted(unnoted)
			p.stop, p.worked = nil, p.worked || result.Changed
			p.sweep()
			if ctx.Err() == nil {
				p.teller.converged(why, w, result, err)
				if err == nil {
					p.teller.tested(testing)
				}
				p.reboot(ctx, result.State)
			}
			p.outcome[event.Machine] = errors.Join(err, imageErrors(result.Failed))
			p.journal.run(ctx, event.Machine, p.Machine.Name, result, err)
			p.takeBack(ctx)
			if errors.Is(err, machine.ErrSuperseded) {
				p.again = p.again.and(ask) // which it has not had
			}
			if result.Plan.Asks() && ask.Trigger != signatureTrigger {
				p.again = p.again.and(Ask{Trigger: signatureTrigger})
			}
			if p.again != nil {
				p.converge(ctx, *p.again)
				return
			}
			p.bootTests(ctx, w, result)
		}
	})
}

// bootTests boots what a run has staged, where that is to come up in a virtual machine
// first, and has the machine make a run that takes what is known then. What is booted and
// wanted no more is given up.
func (p *poll) bootTests(ctx context.Context, w *wanted.Wanted, staged machine.Result) {
	test, due := newBootTest(p.Reconciler, w, staged, Request{Trigger: bootTestTrigger, Patient: true})
	ready := test.ready()
	if p.unplug != nil {
		if !due || slices.ContainsFunc(ready, func(id string) bool { return !slices.Contains(p.booting, id) }) {
			p.unplug()
		}
		return
	}
	if !due || ctx.Err() != nil {
		return
	}
	test.step = p.teller.step(event.Machine, bootTestTrigger, w.Revision)
	testing, unplug := context.WithCancel(ctx)
	p.unplug, p.booting = unplug, ready
	p.beside(func() func(context.Context) {
		known, err := test.all(testing, staged.Plan.Untested)
		given := testing.Err() != nil
		unplug()
		return func(ctx context.Context) {
			p.unplug, p.worked = nil, p.worked || known
			if err != nil && !given {
				p.log.Error("a boot test failed to be made", "error", err)
			}
			if known || given {
				p.converge(ctx, Ask{Trigger: bootTestTrigger})
			}
		}
	})
}

// reboot shows and tells whether a reboot is needed; doc is the machine's document, nil if
// it is to be read.
func (p *poll) reboot(ctx context.Context, doc *state.Machine) {
	signs := p.signboard()
	if r, known := signs.show(ctx, doc); known {
		p.teller.reboot(r, signs.notices)
	}
}

// build has the workshop make what is to be made, now or after what it makes.
func (p *poll) build(ctx context.Context, ask Ask) {
	switch {
	case p.building:
		p.more = p.more.and(ask)
		return
	case ctx.Err() != nil:
		return
	}
	p.building, p.more = true, nil
	w, req := p.latest, ask.request().workshop()
	req.Ready = func() { // the machine takes each image as soon as it is ready
		p.events <- func(ctx context.Context) { p.converge(ctx, Ask{Trigger: ready}) }
	}
	req.Step = p.teller.step(event.Workshop, ask.Trigger, w.Revision)
	p.beside(func() func(context.Context) {
		job, err := p.Shop.Look(ctx, w, req)
		return func(ctx context.Context) {
			if err != nil || job.Settled() || ctx.Err() != nil {
				p.made(ctx, ask, job, err)
				return
			}
			p.make(ctx, ask, job)
		}
	})
}

func (p *poll) make(ctx context.Context, ask Ask, job *workshop.Job) {
	p.job = job
	if p.latest != job.Wanted {
		job.Supersede(p.latest)
	}
	if todo := job.Actions(); len(todo) > 0 { // else it only notes what it has found
		p.teller.begins(event.Workshop, ask.Trigger, job.Revision, todo)
	}
	p.beside(func() func(context.Context) {
		err := job.Begin(ctx)
		if err == nil {
			err = errors.Join(job.Make(ctx), job.Publish(ctx), job.End())
		}
		return func(ctx context.Context) {
			p.job, p.worked = nil, true
			p.converge(ctx, Ask{Trigger: ready})
			if !job.Same(p.latest) {
				p.more = p.more.and(ask)
			}
			p.made(ctx, ask, job, err)
		}
	})
}

// made notes what the workshop has made of a look, and has it look once more if
// somebody has asked for that meanwhile.
func (p *poll) made(ctx context.Context, ask Ask, job *workshop.Job, err error) {
	p.building = false
	if ctx.Err() == nil {
		p.teller.made(ask.Trigger, job.Revision, job, err)
	}
	p.outcome[event.Workshop] = errors.Join(err, imageErrors(job.Failed()))
	p.journal.made(ctx, event.Workshop, job, err)
	if p.more != nil {
		p.build(ctx, *p.more)
		return
	}
	if err == nil {
		p.sign(ctx, ask, job)
	}
}

// waiting reports whether an image's failure is an old one, or follows from
// one, or that it is still being looked up or made: nothing has failed now.
func waiting(err error) bool {
	return errors.As(err, new(*state.RestingError)) || errors.As(err, new(*workshop.ParentError)) ||
		errors.As(err, new(*origin.ComingError)) || errors.As(err, new(*machine.PendingError))
}
