package workshop

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/rootfs/packages"
	"github.com/gitboot/gitboot/stage"
)

// A Job is what the workshop has to do for one revision: first Begin, then Make,
// then Publish, at last End. Between Make and Publish others may take what is
// ready.
type Job struct {
	Shop
	*wanted.Wanted
	req Request
	// builds are the images that are built here, parents first.
	builds []*build
	// chosen says that they are not all that this machine builds.
	chosen bool
	lock   *stage.Lock
	began  time.Time
	// failure is why the job did not come to its end.
	failure error
	halt    *halt
	mu      sync.Mutex // guards what follows
	// steps are the actions that were begun, for the record.
	steps []state.Step
	doc   *state.Workshop
}

// Plan says what the job would do.
func (j *Job) Plan() (builds []plan.Build, pushes []plan.Push) {
	for _, b := range j.builds {
		if b.err == nil && len(b.verdict.Reasons) > 0 {
			builds = append(builds, plan.Build{Image: b.want.Name, Reasons: b.verdict.Reasons})
		}
		if reason := j.pushReason(b); reason != "" {
			pushes = append(pushes, plan.Push{Image: b.want.Name, Ref: b.want.Build.Push.Ref, Reason: reason})
		}
	}
	return builds, pushes
}

// Actions are what the job would do, as a plan lists them.
func (j *Job) Actions() []plan.Action {
	var p plan.Plan
	p.Builds, p.Pushes = j.Plan()
	return p.Actions()
}

// Makes reports whether an image is one that is built here.
func (j *Job) Makes(image string) bool { return j.build(image) != nil }

// Builds reports whether an image would be built.
func (j *Job) Builds(image string) bool {
	b := j.build(image)
	return b != nil && b.err == nil && len(b.verdict.Reasons) > 0
}

// Failed are the images that could not be made, and why; not those that a newer
// revision wants otherwise.
func (j *Job) Failed() map[string]error {
	failed := map[string]error{}
	for _, b := range j.builds {
		if b.err != nil && !errors.Is(b.err, ErrSuperseded) {
			failed[b.want.Name] = durable.Failing(j.Stage.Dir(), b.err)
		}
	}
	return failed
}

// Settled reports whether there is nothing to do, and nothing to note.
func (j *Job) Settled() bool {
	builds, pushes := j.Plan()
	next, err := j.doc.Clone()
	if err != nil || len(builds)+len(pushes) > 0 {
		return false
	}
	j.note(next)
	next.Failure = nil
	return next.Same(j.doc) && !j.Stuck()
}

// Begin takes the workshop. If another run has been there since the look, or the
// look needed a place to write, it looks again. On a machine that is suspended
// nothing is begun: that is a *plan.SuspendedError.
func (j *Job) Begin(ctx context.Context) (err error) {
	if err := state.Suspended(j.Stage.Dir(), j.req.Anyway, j.Now()); errors.As(err, new(*plan.SuspendedError)) {
		return err // a machine's document that cannot be read stops the machine alone
	}
	if j.lock, err = j.Shop.lock(ctx, j.req.Wait); err != nil {
		return err
	}
	j.began = j.Now().UTC() // of two jobs within a second both are kept
	doc, err := state.LoadWorkshop(j.Stage.Dir())
	if err == nil && (!doc.Same(j.doc) || j.Stuck()) {
		var again *Job
		again, err = j.LookOn(ctx, doc, j.Wanted, j.req)
		j.doc, j.builds = again.doc, again.builds
	}
	if err != nil {
		err = errors.Join(err, j.End())
	}
	return err
}

// Stuck reports whether something could not be looked up on a stage that is
// mounted read-only: the lock makes it writable.
func (j *Job) Stuck() bool {
	return slices.ContainsFunc(j.builds, func(b *build) bool { return errors.Is(b.err, syscall.EROFS) })
}

// Make builds what has a reason to be, and notes what became of it. Failures of
// images are in Failed, not in the error.
func (j *Job) Make(ctx context.Context) error {
	err := walk(ctx, []step{
		{"clean", j.clean},           // what a cut run left half-done
		{"build", maker{j}.buildAll}, // parents first, two side by side
		{"record", j.record},         // failures, and what was looked up
	})
	err = durable.Failing(j.Stage.Dir(), err)
	if j.failure = err; err != nil && ctx.Err() == nil && !errors.Is(err, ErrSuperseded) {
		j.doc.Failure = j.doc.Failure.OfRun(err, j.Revision.Hash, j.now())
		err = errors.Join(err, j.doc.Save(j.Stage.Dir()))
	}
	return err
}

// Publish pushes what this machine makes for others, if Make came to its end.
// Why it could not is in Made.
func (j *Job) Publish(ctx context.Context) error {
	if j.lock == nil || j.failure != nil {
		return nil
	}
	j.failure = durable.Failing(j.Stage.Dir(), walk(ctx, []step{{"publish", publisher{j}.publish}}))
	return j.failure
}

// End keeps the record of what was done, and gives the workshop back. It may be
// called of a job that was never begun.
func (j *Job) End() error {
	if j.lock == nil {
		return nil
	}
	err := errors.Join(j.keepRecord(), j.lock.Release())
	j.lock = nil
	return err
}

func (j *Job) keepRecord() error {
	if len(j.steps) == 0 {
		return nil
	}
	run := state.Run{Part: "workshop", Trigger: j.req.Trigger, Revision: j.Revision.Hash, Subject: j.Revision.Subject, Author: j.Revision.Author, Began: j.began, Ended: j.Now().UTC(), Steps: j.steps}
	run.Fail(j.Failed(), j.failure)
	return run.Save(j.Stage.Dir())
}

// trace notes that an action of the plan is being executed.
func (j *Job) trace(act plan.Action) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.steps = append(j.steps, state.Step{Action: act, Began: j.Now().UTC()})
	if j.req.Step != nil {
		j.req.Step(act)
	}
}

// A step may be cut, by its name's fault point.
type step struct {
	name string
	do   func(context.Context) error
}

func walk(ctx context.Context, steps []step) error {
	for _, s := range steps {
		if err := errors.Join(fault.Point("workshop."+s.name), ctx.Err()); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// clean empties the workshop's temporary folder.
func (j *Job) clean(context.Context) error {
	dir := j.Stage.Workshop().Temp()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return durable.MkdirAll(dir, 0o700)
	}
	root, openErr := os.OpenRoot(dir)
	if err = errors.Join(err, openErr); err != nil {
		return err
	}
	defer root.Close()
	for _, e := range entries {
		err = errors.Join(err, root.RemoveAll(e.Name()))
	}
	return err
}

// record notes what is known of all builds.
func (j *Job) record(context.Context) error {
	j.note(j.doc)
	j.doc.Failure = nil
	return j.doc.Save(j.Stage.Dir())
}

// note puts what is known of builds into a document, and forgets those that
// nothing wants any more.
func (j *Job) note(doc *state.Workshop) {
	before := doc.Builds
	if !j.chosen {
		doc.Builds = map[string]*state.Build{}
	}
	now := j.now()
	for _, b := range j.builds {
		noted := *b.state
		if old := before[b.want.Name]; old != nil {
			noted.Failure, noted.Packages = old.Failure, old.Packages
		} else if b.err == nil && noted.Key == nil && j.chosen {
			continue
		}
		switch {
		case b.sought:
			noted.Failure = noted.Failure.Tried(b.err, b.lookupKey(), b.whose(), now)
		case !errors.As(b.err, new(*state.RestingError)): // what rests stands
			noted.Failure = noted.Failure.After(b.err, now)
		}
		if b.want.Build.Push == nil {
			noted.Push = nil
		}
		doc.SetBuild(b.want.Name, &noted)
	}
}

func (j *Job) now() time.Time { return j.Now().UTC().Truncate(time.Second) }

// A Result is what became of one image.
type Result struct {
	Image string
	// Built says that it was built now; else it was up to date, or failed.
	Built  bool
	Digest string
	// Pushed says that it was published now, PushErr why it could not be.
	Pushed  bool
	PushErr error
	// Packages is how they differ from the newest generation on the stage, nil
	// if that is not known.
	Packages *packages.Summary
	Err      error
}

// Results are in the order of building.
func (j *Job) Results() (out []Result) {
	machine, err := state.LoadMachine(j.Stage.Dir())
	if err != nil {
		machine = &state.Machine{}
	}
	for _, b := range j.builds {
		out = append(out, Result{
			Image: b.want.Name, Built: b.ran, Digest: b.state.Digest, Pushed: b.pushed, PushErr: b.pushErr,
			Packages: j.doc.NewPackages(b.want.Name, machine.Images[b.want.Name].Newest()), Err: b.err,
		})
	}
	return out
}

// Made are the builds and pushes that this job has done, as a plan has them, and
// what could not be pushed.
func (j *Job) Made() (builds []plan.Build, pushes []plan.Push, unpublished map[string]error) {
	unpublished = map[string]error{}
	for _, b := range j.builds {
		if b.ran && b.err == nil {
			builds = append(builds, plan.Build{Image: b.want.Name, Reasons: b.why})
		}
		if b.pushed {
			pushes = append(pushes, plan.Push{Image: b.want.Name, Ref: b.want.Build.Push.Ref, Reason: "digest " + plan.Short(b.state.Push.Digest)})
		}
		if b.pushErr != nil {
			unpublished[b.want.Name] = b.pushErr
		}
	}
	return builds, pushes, unpublished
}

// build finds the build of an image, nil if it is not built here.
func (j *Job) build(name string) *build {
	i := slices.IndexFunc(j.builds, func(b *build) bool { return b.want.Name == name })
	if i < 0 {
		return nil
	}
	return j.builds[i]
}

// engine opens the engine that builds an image.
func (s *Shop) engine(b *build) (engine.Engine, error) { return s.Engine(b.want.Build.Engine) }
