package reconciler

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gitboot/gitboot/internal/fault"
)

// apply makes what was planned so. Its steps are the way from a commit to a
// bootable machine, and may each be cut: until the menu is published, the next
// boot is what it was; after that, it is the new one. Every step is idempotent,
// so the next run finishes what a cut one left.
//
// The images' failures are returned by name; a failed image keeps what it has.
func (r *Reconciler) apply(ctx context.Context, o *observation) (map[string]error, error) {
	defer frugal()()
	a := newApplication(ctx, r, o)
	defer a.turns.end()
	publish := []step{
		{"kernels", a.kernels},         // kernel → object; modules and init → initramfs
		{"hooks", a.hooks},             // this machine's files → one layer above
		{"packages", a.packages},       // which ones changed, for people
		{"deployments", a.deployments}, // manifests
		{"settle", a.settle},           // on disk so that GRUB can read it
		{"state", a.recordState},       // generations, revision, failures
		{"menu", a.publishMenu},        // one rename: from here on the new one boots
		{"link", a.linkMenu},           // GRUB's own menu reads ours
		{"settle-menu", a.settle},
	}
	err := walk(ctx, slices.Concat([]step{
		{"clean", a.clean},     // what a cut run left half-done
		{"builds", a.builds},   // images made here; what they became decides the rest
		{"reserve", a.reserve}, // is there room for it all?
		{"layers", a.layers},   // image layers → squashfs objects
	}, publish, []step{
		{"late", func(ctx context.Context) error { // images that took longer, in the same way
			return a.rest(ctx, func(ctx context.Context) error { return walk(ctx, publish) })
		}},
		{"remove", a.remove},      // generations beyond keep
		{"collect", a.collect},    // objects that nothing reaches
		{"push", a.push},          // images for other machines
		{"clear", a.clearFailure}, // that of the run before
	}))
	if err == nil {
		err = fault.Point("apply.done")
	}
	return a.failed(), err
}

// A step is a part of apply, and its name that of a fault point.
type step struct {
	name string
	do   func(context.Context) error
}

func walk(ctx context.Context, steps []step) error {
	for _, step := range steps {
		if err := fault.Point("apply." + step.name); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		if err := errors.Join(ctx.Err(), step.do(ctx)); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}
