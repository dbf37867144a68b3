package reconciler

import (
	"context"
	"slices"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
)

// compare fills in the plan and the state that a run without changes leaves.
func (r *Reconciler) compare(ctx context.Context, o *observation) error {
	r.foresee(o)
	observed, err := r.observed(ctx, o)
	if err != nil {
		return err
	}
	wants := make([]plan.Want, 0, len(o.wants.Images))
	for _, want := range o.wants.Images {
		img := o.images[want.Name]
		wants = append(wants, plan.Want{Image: want.Name, Inputs: img.inputs, Layers: img.layers, Building: img.building(), Keep: want.Keep, Err: img.err})
	}
	o.plan = plan.Compare(o.wants.Machine, o.revision.Hash, wants, observed)
	r.planBuilds(o)
	return nil
}

// observed reports what the stage and the boot loader hold.
func (r *Reconciler) observed(ctx context.Context, o *observation) (plan.Observed, error) {
	out := plan.Observed{Revision: o.state.Revision, Generations: map[string][]plan.Generation{}}
	named := map[string]bool{r.Booted: true}
	for name, img := range o.state.Images {
		for i, g := range img.Generations {
			named[g.Deployment] = true
			pg := plan.Generation{N: g.N, Deployment: g.Deployment, Inputs: g.Inputs, Protected: r.protected(o.state, name, g)}
			if i == len(img.Generations)-1 {
				pg.Damaged = r.damage(g)
			}
			if g.Deployment != r.Booted {
				pg.Unbootable = r.unbootable(name, o.wants.Machine, g, o.location)
			}
			out.Generations[name] = append(out.Generations[name], pg)
		}
	}
	ids, err := r.stage.Deployments()
	if err != nil {
		return out, err
	}
	out.Stray = slices.DeleteFunc(ids, func(id string) bool { return named[id] })
	out.Garbage = r.garbage(ctx, o.state)
	return out, r.observeMenu(ctx, o, &out)
}

// garbage counts the bytes that nothing reaches. What a failed image has got
// is kept for its next try; with a manifest that cannot be read, nobody knows.
func (r *Reconciler) garbage(ctx context.Context, state *State) int64 {
	if state.anyFailure() {
		return 0
	}
	garbage, err := r.stage.Collect(ctx, true)
	if err != nil {
		r.Log.Debug("garbage cannot be counted", "error", err)
		return 0
	}
	return garbage.Bytes
}

// observeMenu says whether the next boot shows what the state gives.
func (r *Reconciler) observeMenu(ctx context.Context, o *observation, out *plan.Observed) error {
	l, err := r.loader()
	if err != nil {
		return err
	}
	if out.MenuStale, err = l.Stale(ctx, r.menu(o.location, o.next)); err != nil {
		return err
	}
	linked, err := l.Linked(ctx, o.location)
	out.Unlinked = !linked
	return err
}

// foresee computes the state that a run leaves if it stages nothing.
func (r *Reconciler) foresee(o *observation) {
	o.next.Machine, o.next.Failure = o.wants.Machine, nil
	o.next.Revision = o.revision.Hash
	o.next.Mode, o.next.Timeout, o.next.Order = o.wants.Boot.Mode, o.wants.Boot.Timeout, nil
	for _, img := range o.wants.Images {
		o.next.Order = append(o.next.Order, img.Name)
	}
	now := r.Now().UTC().Truncate(time.Second)
	for name, img := range o.images {
		state := o.next.image(name)
		if img.err == nil {
			state.Source = img.source
		}
		state.fail(img.err, now)
	}
	o.next.dropUnwanted(o.images)
	r.foreseeBuilds(o)
}
