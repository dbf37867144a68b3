// Package workshop makes images: it finds out which have to be built and why,
// has engines build them, and publishes them for other machines. It has a lock
// of its own, which it may hold for hours, and a document of its own: what stands
// there is ready. It never waits for the machine whose images it makes, nor that
// for it.
package workshop

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/relayer"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/stage"
)

// DefaultCacheSize bounds an engine's store where nothing else is said, in bytes.
const DefaultCacheSize = 20_000_000_000

// A Shop makes images in one stage's workshop.
type Shop struct {
	Stage *stage.Stage
	// Find finds bases and what else steps name.
	Find origin.Finder
	// Engine opens an engine by its name, "" for the machine's own choice. It
	// need not be there yet: its Check says so.
	Engine func(name string) (engine.Engine, error)
	// EngineDir is where engines keep images.
	EngineDir string
	// Engines are the names of all.
	Engines []string
	// Repo is the config repo's address, for the labels of what is published.
	Repo string
	// ObjectsKey is the file of the key that signs what is published of the layers of
	// pushed images, "" if nothing is.
	ObjectsKey string
	// Init is the gitboot-init binary, for images that are booted before they count.
	// KnownKVM is where is kept whether KVM works, "" for nowhere.
	Init, KnownKVM string
	// CacheSize bounds what an engine keeps besides what is needed, in bytes; 0
	// means DefaultCacheSize. Reserve is how much of the file system stays free.
	CacheSize, Reserve int64
	Log                *slog.Logger
	Progress           progress.Sink
	Now                func() time.Time
}

// A Request says which images are made, and how.
type Request struct {
	// Trigger is what asked, for the record.
	Trigger string
	// Names are of images that this machine builds, with the bases they need;
	// none means all that have a reason to be.
	Names []string
	// NoCache builds the named images, or with All all, even if nothing changed,
	// every step.
	All, NoCache bool
	// Update looks bases up and asks for what was published whether or not a
	// schedule is due.
	Update bool
	// Patient waits with what has failed.
	Patient bool
	// Wait waits for another's lock instead of failing.
	Wait bool
	// Anyway makes images though the machine is suspended.
	Anyway bool
	// Ready is told of each image that is, and Step of each action that is executed;
	// nil to tell nobody.
	Ready func()
	Step  func(plan.Action)
}

// Look finds out what there is to make, and makes none of it. The job is never
// nil; one that could not look has nothing to do.
func (s *Shop) Look(ctx context.Context, w *wanted.Wanted, req Request) (*Job, error) {
	doc, err := state.LoadWorkshop(s.Stage.Dir())
	if err != nil {
		return newJob(s, w, doc, req), err
	}
	return s.LookOn(ctx, doc, w, req)
}

// LookOn is Look on a document that was read.
func (s *Shop) LookOn(ctx context.Context, doc *state.Workshop, w *wanted.Wanted, req Request) (*Job, error) {
	j := newJob(s, w, doc, req)
	j.Find.CheckClock(j.doc.Newest())
	look := looker{j}
	if err := look.observe(ctx); err != nil || len(req.Names) == 0 && !req.All {
		return j, err
	}
	if err := look.choose(); err != nil {
		return j, err
	}
	return j, look.observeStores(ctx)
}

func newJob(s *Shop, w *wanted.Wanted, doc *state.Workshop, req Request) *Job {
	j := &Job{Shop: *s, Wanted: w, req: req, doc: doc, halt: &halt{was: w, running: map[*build]context.CancelCauseFunc{}}}
	j.Find.Update = req.Update
	return j
}

// CollectCaches brings all engines' stores below the bound and says how many
// bytes that has freed. While something is built they are left alone: the build
// brings them below the bound itself.
func (s *Shop) CollectCaches(ctx context.Context) (freed int64, err error) {
	lock, err := s.lock(ctx, false)
	if errors.Is(err, stage.ErrLocked) {
		s.Log.Info("the build cache is left alone while something is built")
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	doc, err := state.LoadWorkshop(s.Stage.Dir())
	if err != nil {
		return 0, err
	}
	if freed, err = relayer.Open(s.EngineDir).Collect(ctx, doc.Stored(), s.cacheSize()); err != nil {
		return freed, err
	}
	for _, name := range s.Engines {
		e, err := s.Engine(name)
		if err != nil {
			return freed, err
		}
		n, err := e.Collect(ctx, doc.Stored(), s.cacheSize())
		if err != nil {
			return freed, err
		}
		freed += n
	}
	return freed, nil
}

func (s *Shop) cacheSize() int64 { return cmp.Or(s.CacheSize, DefaultCacheSize) }

// lock takes the workshop, and says so if that means to wait.
func (s *Shop) lock(ctx context.Context, wait bool) (*stage.Lock, error) {
	lock, err := s.Stage.LockWorkshop(ctx, false)
	if wait && errors.Is(err, stage.ErrLocked) {
		s.Log.Info("another run builds; waiting until it ends")
		return s.Stage.LockWorkshop(ctx, true)
	}
	return lock, err
}
