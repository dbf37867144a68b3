// Package reconciler converges one machine's stage on what a config repo
// says. A run observes (observe.go), plans (package plan) and applies
// (apply.go); the daemon and `gitboot reconcile --once` run the same code.
//
// It is the only package that knows both spec values and the leaves that do
// the work: source, image, stage, hooks, initramfs and boot.
//
// What it does not do: restart the machine, or decide that a
// deployment is healthy.
package reconciler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/stage"
)

// Config is what a reconciler has to be told.
type Config struct {
	// Source names the config repo; its Dir is set to the stage's clone.
	Source source.Options
	// RepoName is what the config repo must call itself, "" = anything.
	RepoName string
	// Worktree reads the config repo's folder as it lies there, committed or
	// not, for looking at what it would do.
	Worktree bool
	// Subdir is the folder of gitboot.toml in the repo, empty for its root.
	Subdir string
	// Machine is the name in the config repo, MachineFrom where it came
	// from, for messages.
	Machine, MachineFrom string
	// MachineID is the running system's /etc/machine-id, empty if unknown.
	MachineID string
	// Stage is the stage's folder, Boot that of the boot loader's
	// custom.cfg (empty: looked for), Init the gitboot-init binary.
	Stage, Boot, Init string
	// Location, if set, is where GRUB and process 1 will find the stage: for
	// a stage that is prepared on a disk which this machine does not boot.
	Location *boot.Filesystem
	// Booted is the id of the deployment that is running, empty if this
	// system was not booted by gitboot.
	Booted string
	// BuildDir holds the engines' images and caches, "" for the stage's folder
	// engine. Engine is the one that builds what names none, "" for buildah.
	BuildDir, Engine string
	// Buildkit says how the engine buildkit reaches its builder.
	Buildkit Buildkit
	// DockerSocket is where the docker daemon listens, "" for its usual place.
	DockerSocket string
	// CacheSize bounds what an engine keeps besides what is needed, in bytes; 0
	// means DefaultCacheSize.
	CacheSize int64
	// CredentialsFile is for images that name none themselves.
	CredentialsFile string
	// TokenServers are hosts that registries' credentials may be sent to.
	TokenServers []string
	// LayerSize is how much a layer may hold, in bytes, of an image that does not
	// say so itself, and LayerEntries how many files; Reserve is how much of the
	// stage's file system stays free. 0 means the packages' defaults.
	LayerSize, Reserve int64
	LayerEntries       int
	// Turn is how long an image's layers may take before others overtake them,
	// and ImageTime when they are given up; 0 means two minutes, twelve hours.
	Turn, ImageTime time.Duration
	// Timing bounds how long a registry's faults are endured; zero fields
	// mean package image's defaults.
	Timing image.Timing
	// Update looks for new digests whether or not the schedule is due.
	Update bool
	// Wait waits for another run's lock instead of failing.
	Wait     bool
	Log      *slog.Logger
	Progress progress.Sink
	// Now is the clock.
	Now func() time.Time
}

// A Reconciler works on one stage.
type Reconciler struct {
	Config
	stage *stage.Stage
	// place is where the stage lies or, of a preview, will lie.
	place string
	// patient waits with builds that have failed, and looks every so often
	// whether what is being built is still wanted.
	patient bool
	every   time.Duration
	// lookups go on beside runs, nil where they are waited for.
	lookups *lookups
}

// New opens the stage, or creates it where its parent folder exists.
func New(cfg Config) (*Reconciler, error) {
	st, err := stage.Open(cfg.Stage)
	if errors.Is(err, stage.ErrNone) {
		st, err = create(cfg.Stage)
	}
	if err != nil {
		return nil, err
	}
	return on(st, cfg, st.Dir()), nil
}

func on(st *stage.Stage, cfg Config, place string) *Reconciler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	st.Log, st.Reserve, st.Entries = cfg.Log, cfg.Reserve, cfg.LayerEntries
	cfg.Stage = st.Dir()
	cfg.Source.Dir = st.Repo()
	cfg.Source.Log, cfg.Source.Progress = cfg.Log, cfg.Progress
	return &Reconciler{Config: cfg, stage: st, place: place}
}

// create makes no parent folders: one that is missing may be a disk that is
// not mounted.
func create(dir string) (*stage.Stage, error) {
	if err := creatable(dir); err != nil {
		return nil, err
	}
	return stage.Create(dir)
}

func creatable(dir string) error {
	parent := filepath.Dir(filepath.Clean(dir))
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		return fmt.Errorf("create stage %s: there is no folder %s; mount its file system, make the folder, or name another place with --stage", dir, parent)
	}
	return nil
}

// A Result says what a run found and did.
type Result struct {
	Plan plan.Plan
	// Changed reports whether anything that boots or is published was changed.
	Changed bool
	// Failed maps images to why they were left as they were, Unpublished to
	// why they were not pushed.
	Failed, Unpublished map[string]error
}

// Err returns the images' failures as one error, nil without any.
func (r Result) Err() error { return errors.Join(imageErrors(r.Failed), imageErrors(r.Unpublished)) }

// and is what two runs, one after the other, have done.
func (r Result) and(next Result) Result {
	next.Changed = next.Changed || r.Changed
	next.Plan.Stages = slices.Concat(r.Plan.Stages, next.Plan.Stages)
	next.Plan.Removals = slices.Concat(r.Plan.Removals, next.Plan.Removals)
	next.Plan.Pushes = slices.Concat(r.Plan.Pushes, next.Plan.Pushes)
	next.Plan.Menu = cmp.Or(next.Plan.Menu, r.Plan.Menu)
	return next
}

// Plan finds out what Reconcile would do, and does none of it. The config
// repo is fetched into the stage's clone if it has a new revision.
func (r *Reconciler) Plan(ctx context.Context) (_ plan.Plan, err error) {
	o, release, err := r.look(ctx)
	if err != nil {
		return plan.Plan{}, err
	}
	err = errors.Join(r.planPackages(ctx, o), r.planFormerDisk(ctx, o))
	return o.plan, errors.Join(err, release())
}

// Reconcile makes one run. A run that finds nothing to do takes no lock and
// writes nothing. Failures of single images are in the result, not the error.
// Images whose servers take long are waited for when all else is done.
func (r *Reconciler) Reconcile(ctx context.Context) (result Result, err error) {
	once := *r
	once.lookups = newLookups(ctx, r.Turn)
	defer once.lookups.end()
	result, err = attempt(ctx, &once)
	for err == nil && once.lookups.wait(ctx) {
		var rest Result
		rest, err = attempt(ctx, &once)
		result = result.and(rest)
	}
	return result, err
}

// attempt is one run; why it failed is kept for status.
func attempt(ctx context.Context, r *Reconciler) (result Result, err error) {
	result, err = r.run(ctx)
	r.noteFailure(ctx, result.Plan.To, err)
	return result, err
}

// run is Reconcile. Of a run that fails, the result has at least the revision,
// if one was fetched.
func (r *Reconciler) run(ctx context.Context) (result Result, err error) {
	o, release, err := r.look(ctx)
	if err != nil {
		return Result{Plan: plan.Plan{To: o.revision.Hash}}, err
	}
	if o.settled() {
		return Result{Plan: o.plan, Failed: o.plan.Failed}, release()
	}
	if err := release(); err != nil {
		return Result{Plan: o.plan}, err
	}
	lock, err := r.lock(ctx)
	if err != nil {
		return Result{Plan: o.plan}, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if o, err = r.refresh(ctx, o); err != nil {
		return Result{Plan: plan.Plan{To: o.revision.Hash}}, err
	}
	failed, err := r.apply(ctx, o)
	done := o.plan.Without(failed)
	result.Failed = failed
	done.Pushes, result.Unpublished = o.pushed()
	result.Plan = done
	done.Builds = nil // what an image became shows in the rest
	result.Changed = err == nil && !done.Empty()
	return result, err
}

// look observes; what was seen before an error is there, too. On a stage that
// is mounted read-only a new revision can be fetched only under the lock, which
// makes the stage writable for its time.
func (r *Reconciler) look(ctx context.Context) (*observation, func() error, error) {
	o, err := r.observe(ctx)
	if !errors.Is(err, syscall.EROFS) {
		return o, func() error { return nil }, err
	}
	lock, err := r.lock(ctx)
	if err != nil {
		return o, nil, err
	}
	// What goes on would keep the stage from becoming read-only again.
	waiting := *r
	waiting.lookups = nil
	if o, err = waiting.observe(ctx); err != nil {
		return o, nil, errors.Join(err, lock.Release())
	}
	return o, lock.Release, nil
}

// refresh looks again if another run has finished between the first look and
// the lock; every run that changes something changes the state.
func (r *Reconciler) refresh(ctx context.Context, o *observation) (*observation, error) {
	state, err := LoadState(r.Stage)
	if err != nil || state.equal(o.state) {
		return o, err
	}
	return r.observe(ctx)
}

// Poll reconciles at once and then every interval until ctx ends. Failed runs
// are logged; the next one tries again, but builds only when their time has
// come (backoff.go). A run whose builds a newer revision does not want any
// more is followed by the next one at once (newer.go).
func (r *Reconciler) Poll(ctx context.Context, every time.Duration) error {
	patient := *r
	patient.patient, patient.every, patient.lookups = true, every, newLookups(ctx, r.Turn)
	defer patient.lookups.end()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		result, err := attempt(ctx, &patient)
		patient.lookups.sweep()
		if ctx.Err() != nil {
			return nil
		}
		r.logRun(result, err, every)
		if superseded(err) {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (r *Reconciler) logRun(result Result, err error, every time.Duration) {
	failed := maps.Clone(result.Failed)
	maps.DeleteFunc(failed, func(_ string, err error) bool { return waiting(err) })
	switch {
	case superseded(err):
		r.Log.Info("starting over with the newer revision")
	case err != nil || len(failed) > 0:
		r.Log.Error("reconcile failed; the next try is at the next poll", "error", errors.Join(err, result.Err()), "every", every)
	case len(result.Failed) > 0:
		r.Log.Debug("waiting to try again what failed", "error", result.Err())
	case result.Changed && result.Plan.Menu != "":
		r.Log.Info("converged; the next boot is the new one", "machine", r.Machine, "revision", plan.Short(result.Plan.To), "deployments", len(result.Plan.Stages))
	}
}

func (r *Reconciler) imageOptions() image.Options {
	return image.Options{
		CredentialsFile: r.CredentialsFile, TokenServers: r.TokenServers, CacheDir: r.stage.Downloads(),
		Expansion: image.Expansion{Size: r.LayerSize}, Reserve: r.Reserve,
		Timing: r.Timing, Log: r.Log, Progress: r.Progress,
	}
}
