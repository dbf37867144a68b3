package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// apply makes what was planned so: it walks the plan's own list. The steps are
// the way from a commit to a bootable machine, and may each be cut: until the
// menu is published, the next boot is what it was; after that, it is the new
// one. Every step is idempotent, so the next run finishes what a cut one left.
//
// A plan that is held back ends with its deployments: what remains takes a moment.
//
// The images' failures are returned by name; a failed image keeps what it has.
func (j *Job) apply(ctx context.Context, stop <-chan struct{}) (map[string]error, error) {
	a := newApplication(ctx, j, stop)
	defer a.garbage.asUsual()
	if !streams(j.plan.Stagings) {
		a.garbage.often()
	}
	defer a.turns.end()
	err := walk(ctx, a.way(), j.plan.MachineActions())
	if err == nil {
		err = fault.Point("apply.done")
	}
	return a.failed(), err
}

// way is the steps of a run, in their order.
func (a *application) way() []step {
	fetch := []step{
		{"drift", plan.NoticeDrift, keeper{a}.drift}, // what others have changed, before it is put right
		{"clean", "", a.clean},                       // what a cut run left half-done
		{"reserve", "", a.reserve},                   // is there room for it all?
		{"layers", plan.AddLayer, a.layers},          // image layers → squashfs objects
	}
	stage := []step{
		{"kernels", "", a.kernels},                         // kernel → object; modules and init → initramfs
		{"hooks", "", a.hooks},                             // this machine's files → one layer above
		{"init", "", entrance{a}.look},                     // is there one to enter?
		{"trees", "", fetcher{a}.trees},                    // hash trees of what is to be verified
		{"packages", "", a.packages},                       // which ones changed, for people
		{"deployments", plan.AddDeployment, a.deployments}, // manifests
		{"recovery", plan.AddRecovery, recoverer{a}.make},  // the entry that needs none of these
		{"settle", "", a.settle},                           // on disk so that GRUB can read it
	}
	publish := slices.Concat(stage, []step{
		{"signatures", "", borrower{a.Job}.get(a)},    // of who has the key, where that is not here
		{"documents", "", librarian{a}.keep},          // what registries have said, for other machines
		{"state", plan.RecordRevision, a.recordState}, // generations, revision, failures
		{"menu", plan.WriteMenu, a.publishMenu},       // one rename: from here on the new one boots
		{"link", plan.LinkMenu, a.linkMenu},           // GRUB's own menu reads ours
		{"settle-menu", "", a.settle},
		{"belonging", "", librarian{a}.complete}, // what they have to say besides
	})
	after := []step{
		{"replace", "", keeper{a}.replace},          // what waited before
		{"remove", plan.RemoveDeployment, a.remove}, // generations beyond keep
		{"collect", plan.CollectGarbage, a.collect}, // objects that nothing reaches
	}
	if a.plan.Held() {
		publish = slices.Concat(stage, []step{
			{"documents", "", librarian{a}.keep},
			{"note", "", keeper{a}.note}, // what is staged, for the run that publishes it
			{"belonging", "", librarian{a}.complete},
		})
		after = after[:1]
	}
	late := step{"late", "", func(ctx context.Context, _ []plan.Action) error { // images that took longer, in the same way
		return a.rest(ctx, func(ctx context.Context) error { return walk(ctx, publish, nil) })
	}}
	clear := step{"clear", "", a.clear} // what is over
	return slices.Concat(fetch, publish, []step{late}, after, []step{clear})
}

// A step is a part of apply, and its name that of a fault point. It executes the
// plan's actions of one kind, or what has to be done between them.
type step struct {
	name string
	kind plan.Kind
	do   func(context.Context, []plan.Action) error
}

// walk takes the steps, each with those actions that are next on the list. All
// have to be taken: the order of the list and of the steps is one.
func walk(ctx context.Context, steps []step, list []plan.Action) error {
	for _, s := range steps {
		mine, rest := plan.Leading(list, s.kind)
		list = rest
		if err := fault.Point("apply." + s.name); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if err := errors.Join(ctx.Err(), s.do(ctx, mine)); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if len(list) > 0 {
		return fmt.Errorf("the plan has %q where no step is for it", list[0].Kind)
	}
	return nil
}

// streams reports whether all that images lack of their layers is fetched as it will lie
// here: then there is little to collect, and looking for it is a thirtieth of what a run
// costs.
func streams(list []plan.Staging) bool {
	lacks := false
	for _, s := range list {
		for _, l := range s.Layers {
			if l.Staged {
				continue
			}
			if lacks = true; !l.Made || l.Whole > 0 {
				return false
			}
		}
	}
	return lacks
}

// A collector is how often garbage is collected in a run.
type collector struct {
	mu    sync.Mutex
	usual *int // nil while it is
}

// often has it collected twice as often: what streams through needs little of the
// collector and leaves much behind. It takes a sixth off a pull's peak of memory, and no
// time that can be measured.
func (c *collector) often() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.usual == nil && os.Getenv("GOGC") == "" {
		usual := debug.SetGCPercent(50)
		c.usual = &usual
	}
}

func (c *collector) asUsual() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.usual != nil {
		debug.SetGCPercent(*c.usual)
		c.usual = nil
	}
}
