package reconciler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/integrity"
	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/verdict"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/reconciler/workshop"
	"github.com/gitboot/gitboot/stage"
)

// A Request is what one run is asked for, and by whom.
type Request struct {
	// Trigger is what asked, for the record: "command", "poll", …
	Trigger string
	// Update looks for new digests whether or not the schedule is due.
	Update bool
	// Wait waits for another run's lock instead of failing.
	Wait bool
	// Patient waits with images, builds and pushes that have failed.
	Patient bool
	// Anyway makes the run though the machine is suspended.
	Anyway bool
	// Fetch fetches and stages, and publishes nothing.
	Fetch bool
	// Retry puts what is known to be bad on trial once more.
	Retry bool
}

func (q Request) machine(builds func(string) bool) machine.Request {
	return machine.Request{Trigger: q.Trigger, Update: q.Update, Wait: q.Wait, Patient: q.Patient, Anyway: q.Anyway, Fetch: q.Fetch, Retry: q.Retry, Builds: builds}
}

func (q Request) workshop() workshop.Request {
	return workshop.Request{Trigger: q.Trigger, Update: q.Update, Wait: q.Wait, Patient: q.Patient, Anyway: q.Anyway}
}

// A Result says what a run found and did.
type Result struct {
	Plan plan.Plan
	// Changed reports whether anything that boots or is published was changed.
	Changed bool
	// Failed maps images to why they were left as they were, Unpublished to
	// why they were not pushed.
	Failed, Unpublished map[string]error
	// state is the machine's document as it is after the run, nil if that is not known.
	state *state.Machine
}

// Err returns the images' failures as one error, nil without any.
func (r Result) Err() error { return errors.Join(imageErrors(r.Failed), imageErrors(r.Unpublished)) }

func imageErrors(failed map[string]error) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		errs = append(errs, fmt.Errorf("image %q: %w", name, failed[name]))
	}
	return errors.Join(errs...)
}

// and is what two runs, one after the other, have done.
func (r Result) and(next Result) Result {
	next.Changed = next.Changed || r.Changed
	next.Plan.Drift = slices.Concat(r.Plan.Drift, next.Plan.Drift)
	next.Plan.Stagings = slices.Concat(r.Plan.Stagings, next.Plan.Stagings)
	next.Plan.Removals = slices.Concat(r.Plan.Removals, next.Plan.Removals)
	next.Plan.Pushes = slices.Concat(r.Plan.Pushes, next.Plan.Pushes)
	next.Plan.Menu = cmp.Or(next.Plan.Menu, r.Plan.Menu)
	return next
}

// Run makes one run: the workshop's first, then the machine's, and at last
// images for other machines are published, so that a slow registry holds up no
// menu. A run that finds nothing to do takes no lock and writes nothing. Failures
// of single images are in the result, not the error. Images whose servers take
// long are waited for when all else is done. On a machine that is suspended it is a
// *plan.SuspendedError.
func (r *Reconciler) Run(ctx context.Context, req Request) (result Result, err error) {
	once, lookups := r.inTurns(ctx)
	defer lookups.End()
	result, err = once.run(ctx, req)
	for err == nil && lookups.Wait(ctx) {
		var rest Result
		rest, err = once.run(ctx, req)
		result = result.and(rest)
	}
	r.signboard().show(ctx, result.state)
	return result, err
}

// inTurns is a reconciler whose lookups go on beside its runs until they end.
func (r *Reconciler) inTurns(ctx context.Context) (*Reconciler, *origin.Lookups) {
	once, lookups := *r, origin.NewLookups(ctx, r.Machine.Turn)
	once.Machine.Find.Lookups, once.Shop.Find.Lookups = lookups, lookups
	return &once, lookups
}

func (r *Reconciler) run(ctx context.Context, req Request) (Result, error) {
	doc, err := state.LoadMachine(r.Machine.Stage.Dir())
	if err == nil {
		err = doc.Refuse(req.Anyway, r.Machine.Now())
	}
	if err != nil {
		return Result{}, err
	}
	journal := newJournal(r.log, r.Machine.Now)
	changes, doc, err := r.judge(ctx, doc)
	if err != nil {
		return Result{}, err
	}
	w, err := r.readOn(ctx, doc, req, nil)
	var docs state.Documents
	if err == nil {
		docs, err = doc.WithWorkshop(r.Machine.Stage.Dir())
	}
	if err != nil {
		journal.unnoted(r.Machine.NoteFailure(ctx, w.Revision.Hash, err))
		return Result{Plan: plan.Plan{To: w.Revision.Hash}}, err
	}
	job, docs, made := r.make(ctx, w, docs, req)
	if err := ctx.Err(); err != nil { // the look may have ended before it noticed
		return Result{}, errors.Join(err, made, job.End())
	}
	converged, err := converge(ctx, r, w, docs, req)
	journal.unnoted(r.Machine.NoteFailure(ctx, w.Revision.Hash, err))
	if err == nil && !req.Fetch {
		converged.State, _ = r.testing(ctx, w, converged.State, req.Wait)
	}
	if len(changes) > 0 || len(state.Pending(doc.Reverts)) > 0 {
		takeBack(ctx, r, req.Patient)
		converged.State = nil
	}
	var published error
	if !req.Fetch {
		published = job.Publish(ctx)
	}
	result := merge(converged, job)
	failures := errors.Join(made, err, published, job.End())
	if !req.Fetch && published == nil {
		_, pushed, _ := job.Made()
		_, err := sign(ctx, r, w, req.Update || len(pushed) > 0, req.Patient)
		failures = errors.Join(failures, err)
	}
	return result, failures
}

// judge notes how the machine was booted whose document was read, and returns that as it
// is then. That it cannot note it keeps nothing from converging: the boot loader falls
// back by itself.
func (r *Reconciler) judge(ctx context.Context, doc *state.Machine) ([]verdict.Change, *state.Machine, error) {
	changes, doc, err := (machine.Bench{Machine: &r.Machine}).Judge(ctx, doc, false)
	if err != nil {
		r.log.Warn("what is on trial is not judged", "error", err)
		if doc, err = state.LoadMachine(r.Machine.Stage.Dir()); err != nil { // some of it may be noted
			return nil, nil, err
		}
	}
	found, err := integrity.Ask(ctx, r.Machine.Stage, r.Machine.Book.Booted, r.Machine.BootID)
	if err != nil {
		r.log.Warn("the kernel is not asked whether what runs was found damaged", "error", err)
	}
	for _, hash := range found {
		r.log.Error("what runs was found damaged when it was read", "object", plan.Short(hash))
	}
	return changes, doc, nil
}

// make has the workshop build what there is to be built, and returns the documents as
// they are then. The job it returns is never nil.
func (r *Reconciler) make(ctx context.Context, w *wanted.Wanted, docs state.Documents, req Request) (*workshop.Job, state.Documents, error) {
	job, err := r.Shop.LookOn(ctx, docs.Workshop, w, req.workshop())
	if err != nil || job.Settled() {
		return job, docs, err
	}
	if err = job.Begin(ctx); err == nil {
		err = job.Make(ctx)
	}
	now, unread := state.Load(r.Machine.Stage.Dir()) // that may have taken hours
	if unread == nil {
		docs = now
	}
	return job, docs, errors.Join(err, unread)
}

// merge is what both parts did.
func merge(converged machine.Result, job *workshop.Job) Result {
	result := Result{Plan: converged.Plan, Changed: converged.Changed, Failed: maps.Clone(converged.Failed), state: converged.State}
	if result.Failed == nil {
		result.Failed = map[string]error{}
	}
	maps.Copy(result.Failed, job.Failed())
	result.Plan.Builds, result.Plan.Pushes, result.Unpublished = job.Made()
	result.Plan.Failed, result.Changed = result.Failed, result.Changed || len(result.Plan.Pushes) > 0
	return result
}

// read reads what is wanted. On a stage that is mounted read-only a new revision
// can be fetched only under the lock, which makes the stage writable for its time.
// known, if not nil, is what an earlier read found. The result is never nil.
func (r *Reconciler) read(ctx context.Context, req Request, known *wanted.Wanted) (*wanted.Wanted, error) {
	doc, err := state.LoadMachine(r.Machine.Stage.Dir())
	if err != nil {
		return &wanted.Wanted{}, err
	}
	return r.readOn(ctx, doc, req, known)
}

// readOn reads what is wanted of a machine whose document was read.
func (r *Reconciler) readOn(ctx context.Context, doc *state.Machine, req Request, known *wanted.Wanted) (*wanted.Wanted, error) {
	repo := r.Repo
	repo.Quiet, repo.Known, repo.Approvers = req.Patient, known, doc.Approvers()
	w, err := r.fetched(ctx, req.Wait, func() (*wanted.Wanted, error) { return repo.Read(ctx, doc.Revision) })
	return w, durable.Failing(r.Machine.Stage.Dir(), stage.Full(r.Machine.Stage, err)) // the clone lies on the stage
}

// fetched reads, and once more under the lock if that is what it takes to write.
func (r *Reconciler) fetched(ctx context.Context, wait bool, read func() (*wanted.Wanted, error)) (*wanted.Wanted, error) {
	w, err := read()
	if !errors.Is(err, syscall.EROFS) {
		return w, err
	}
	lock, err := r.Machine.Stage.Lock(ctx, wait)
	if err != nil {
		return w, err
	}
	w, err = read()
	return w, errors.Join(err, lock.Release())
}

// Plan finds out what Run would do, and does none of it. The config repo is
// fetched into the stage's clone if it has a new revision.
func (r *Reconciler) Plan(ctx context.Context, req Request) (plan.Plan, error) {
	w, err := r.read(ctx, req, nil)
	if err != nil {
		return plan.Plan{}, err
	}
	job, err := r.Shop.Look(ctx, w, req.workshop())
	if err != nil {
		return plan.Plan{}, err
	}
	ahead, err := r.Machine.Look(ctx, w, req.machine(job.Builds))
	if err != nil {
		return plan.Plan{}, err
	}
	p, err := ahead.Plan(ctx)
	p.Builds, p.Pushes = job.Plan()
	maps.Copy(p.Failed, job.Failed())
	return p, err
}
