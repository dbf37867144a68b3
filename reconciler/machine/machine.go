// Package machine converges one machine's stage and boot menu on what is wanted
// of it. It takes the images that registries and archives have, and those that
// the workshop has ready, and waits for none that are being made. A run looks
// (observe.go), compares (package plan) and applies (apply.go), under the stage's
// lock.
//
// What it does not do: restart the machine, or decide that a deployment is
// healthy.
package machine

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/recovery"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/secret/keyring"
	"github.com/gitboot/gitboot/stage"
)

// A Machine is one machine's stage, with all that converging it takes.
type Machine struct {
	// Name is the machine's in the config repo.
	Name  string
	Stage *stage.Stage
	Book  menu.Book
	// Find finds the images that are pulled or in archives.
	Find origin.Finder
	// Engine opens the engine in whose store a built image is, by its name, ""
	// for the machine's own choice.
	// EngineDir is where engines keep images.
	Engine    func(name string) (engine.Engine, error)
	EngineDir string
	// Init is the gitboot-init binary.
	Init string
	// BootID is that of the running kernel, "" if it is not known, or if the stage
	// is one that another machine boots.
	BootID string
	// Via is what has started that kernel, as deployment.Boot has it.
	Via string
	// Written is where the running system's writable layer is, if that is on a disk:
	// deployment.UpperMount but in tests.
	Written string
	// Programs go into the recovery entry.
	Programs recovery.Programs
	// Keys open the secrets that hooks need.
	Keys keyring.Keyring
	// Turn is how long an image's layers may take before others overtake them, 0
	// for two minutes.
	Turn     time.Duration
	Log      *slog.Logger
	Progress progress.Sink
	Now      func() time.Time
}

// A Request says who wants the machine converged, and how.
type Request struct {
	// Trigger is what asked for it, for the record.
	Trigger string
	// Update looks for new digests whether or not a schedule is due.
	Update bool
	// Wait waits for another's lock instead of failing.
	Wait bool
	// Patient waits with images that have failed.
	Patient bool
	// Anyway makes the run though the machine is suspended, and publishes though
	// entries are to change at another time.
	Anyway bool
	// Fetch fetches and stages, and publishes nothing.
	Fetch bool
	// Retry puts what is known to be bad on trial once more.
	Retry bool
	// Builds reports, for a look ahead, whether an image is built first; nil if
	// none is.
	Builds func(image string) bool
	// Begin is told what a run is going to do, when it does anything, and Step of
	// each action that it executes; nil to tell nobody.
	Begin func(plan.Plan)
	Step  func(plan.Action)
}

// A Result says what a run found and did.
type Result struct {
	Plan plan.Plan
	// Changed reports whether anything that boots was changed.
	Changed bool
	// Failed maps images to why they were left as they were.
	Failed map[string]error
	// State is the machine's document as it is after the run, nil after one that failed.
	State *state.Machine
}

// Run makes one run. One that finds nothing to do takes no lock and writes
// nothing, but what is wanted if that is not remembered. Failures of single images are in the result, not in the error. What
// comes on stop ends waiting for images that take long. On a machine that is
// suspended nothing is even looked at: that is a *plan.SuspendedError.
func (m *Machine) Run(ctx context.Context, w *wanted.Wanted, req Request, stop <-chan struct{}) (Result, error) {
	docs, err := state.Load(m.Stage.Dir())
	if err != nil {
		return Result{Plan: plan.Plan{Machine: m.Name, To: w.Revision.Hash}}, stage.Failed(m.Stage, err)
	}
	return m.RunOn(ctx, docs, w, req, stop)
}

// RunOn is Run on documents that were read. What others have written since is seen where
// there is something to do.
func (m *Machine) RunOn(ctx context.Context, docs state.Documents, w *wanted.Wanted, req Request, stop <-chan struct{}) (result Result, err error) {
	defer func() { err = stage.Failed(m.Stage, err) }()
	if err := docs.Machine.Refuse(req.Anyway, m.Now()); err != nil {
		return Result{Plan: plan.Plan{Machine: m.Name, To: w.Revision.Hash}}, err
	}
	j, err := look(ctx, m, docs, w, req)
	if err != nil {
		return j.result(nil), err
	}
	if j.Settled() {
		remember(ctx, j)
		result = j.result(nil)
		result.State = j.doc
		return result, nil
	}
	lock, err := m.lock(ctx, req.Wait)
	if err != nil {
		return j.result(nil), err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if j, err = j.refresh(ctx); err != nil {
		return j.result(nil), err
	}
	if err := j.doc.Refuse(req.Anyway, m.Now()); err != nil { // while the lock was waited for
		return Result{}, err
	}
	began := m.Now().UTC() // of two runs within a second both are kept
	if req.Begin != nil {
		req.Begin(j.plan)
	}
	failed, err := j.apply(ctx, stop)
	if result = j.result(failed); err == nil {
		result.State = j.next
	}
	result.Changed = err == nil && !result.Plan.Empty() && !result.Plan.Held()
	return result, errors.Join(err, j.keepRecord(began, result, err))
}

// refresh looks again if another run has finished between the first look and
// the lock, since every run that changes something changes the state; or if the
// look needed a place to write, which the stage is under the lock.
func (j *Job) refresh(ctx context.Context) (*Job, error) {
	doc, err := state.LoadMachine(j.Stage.Dir())
	if err != nil || doc.Same(j.doc) && !j.Stuck() {
		return j, err
	}
	docs, err := doc.WithWorkshop(j.Stage.Dir())
	if err != nil {
		return j, err
	}
	m := j.Machine
	if j.Stuck() {
		m.Find.Lookups = nil // what goes on would keep the stage from becoming read-only again
	}
	return look(ctx, &m, docs, j.Wanted, j.req)
}

// result is what is left of the plan, of which some images have failed.
func (j *Job) result(failed map[string]error) Result {
	if failed == nil {
		failed = j.plan.Failed
	}
	return Result{Plan: j.plan.Without(failed), Failed: failed}
}

// lock takes the stage for writing, and says so if that means to wait.
func (m *Machine) lock(ctx context.Context, wait bool) (*stage.Lock, error) {
	lock, err := m.Stage.Lock(ctx, false)
	if wait && errors.Is(err, stage.ErrLocked) {
		m.Log.Info("another run holds the stage's lock; waiting until it ends")
		return m.Stage.Lock(ctx, true)
	}
	return lock, err
}

// whose spreads tries over machines and images.
func whose(machine, image string) string { return machine + "/" + image }

func (m *Machine) now() time.Time { return m.Now().UTC().Truncate(time.Second) }

// NoteFailure keeps why a run failed before it had looked at all images. What
// stands already is not written anew, nor is what is nobody's failure: another
// run's lock, a suspended machine, or an end that was asked for. An error says that
// it could not be kept.
func (m *Machine) NoteFailure(ctx context.Context, revision string, failure error) error {
	if failure == nil || ctx.Err() != nil || errors.Is(failure, stage.ErrLocked) || errors.As(failure, new(*plan.SuspendedError)) {
		return nil
	}
	doc, err := state.LoadMachine(m.Stage.Dir())
	if err != nil || doc.Failure.OfRun(failure, revision, m.now()) == doc.Failure {
		return nil
	}
	lock, err := m.Stage.Lock(ctx, false)
	if err == nil {
		_, err = state.Edit(m.Stage.Dir(), func(doc *state.Machine) error {
			doc.Failure = doc.Failure.OfRun(failure, revision, m.now())
			return nil
		})
		err = errors.Join(err, lock.Release())
	}
	if errors.Is(err, stage.ErrLocked) {
		return nil
	}
	return err
}
