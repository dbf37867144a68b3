package reconciler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/qemu"
	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
)

// A Trial says what is to be tried.
type Trial struct {
	// Name is an image's reference, or a commit, a branch or a tag of the config
	// repo.
	Name string
	// Image is the one of a revision, "" for its machine's first.
	Image string
	// OnTop is a commit that a revision has to come after, "" for none.
	OnTop string
	// Wait waits for another run's lock instead of failing.
	Wait bool
}

// Try stages something for one boot, the next, and has the boot loader boot it
// then.
func (r *Reconciler) Try(ctx context.Context, t Trial) (state.Trial, error) {
	w, want, err := t.find(ctx, r)
	if err != nil {
		return state.Trial{}, err
	}
	return r.Machine.Try(ctx, w, want, t.Name, t.Wait)
}

// Rehearse boots in a virtual machine, until it is judged, what Try would have the
// machine boot. It has what the machine's boot tests have, unless the options say
// otherwise, and holds no lock while it runs.
func Rehearse(ctx context.Context, r *Reconciler, t Trial, o rehearsal.Options) (tried state.Trial, out rehearsal.Outcome, err error) {
	if err := qemu.Installed(""); err != nil { // before anything is fetched
		return tried, out, err
	}
	w, want, err := t.find(ctx, r)
	if err != nil {
		return tried, out, err
	}
	if terms := w.Wants.BootTest; terms != nil {
		o.Memory, o.Network = cmp.Or(o.Memory, terms.Memory), cmp.Or(o.Network, network(*terms))
	}
	var p *rehearsal.Prepared
	tried, err = machine.Bench{Machine: &r.Machine}.Rehearse(ctx, w, want, t.Name, t.Wait, func(m *deployment.Manifest) (err error) {
		p, err = rehearsal.Prepare(ctx, rehearsal.Deployment{Manifest: m, Machine: r.Machine.Name, Object: r.Machine.Stage.ObjectPath}, true, o)
		return err
	})
	if p == nil {
		return tried, out, err
	}
	if err == nil {
		out, err = p.Judge(ctx)
	}
	return tried, out, errors.Join(err, p.Close())
}

// find reads what is to be tried.
func (t Trial) find(ctx context.Context, r *Reconciler) (*wanted.Wanted, spec.Image, error) {
	if isReference(t.Name) {
		return r.foreign(ctx, t)
	}
	return r.revision(ctx, t)
}

// foreign is somebody else's image, as this machine would boot it.
func (r *Reconciler) foreign(ctx context.Context, t Trial) (w *wanted.Wanted, want spec.Image, err error) {
	if w, err = r.read(ctx, Request{Wait: t.Wait}, nil); err != nil {
		return w, want, err
	}
	want, err = r.Repo.Foreign(ctx, w, t.Name)
	return w, want, err
}

// revision is an image of another revision of the config repo. Of one that is built
// here the workshop keeps only what is followed, so that no run takes what is tried
// for that.
func (r *Reconciler) revision(ctx context.Context, t Trial) (w *wanted.Wanted, want spec.Image, err error) {
	w, err = r.fetched(ctx, t.Wait, func() (*wanted.Wanted, error) { return r.Repo.Elsewhere(ctx, t.Name, t.OnTop) })
	if err != nil {
		return w, want, err
	}
	switch {
	case t.Image != "":
		want, err = imageOf(w, t.Image)
	case len(w.Wants.Images) == 0:
		err = fmt.Errorf("try %s: machine %q has no image there", t.Name, w.Wants.Machine)
	default:
		want = w.Wants.Images[0]
	}
	if err != nil || want.Build == nil {
		return w, want, err
	}
	job, err := r.Shop.Look(ctx, w, Request{}.workshop())
	if err == nil && job.Builds(want.Name) {
		err = fmt.Errorf("try %s: image %q is built on this machine, and there from something else (revision %s); have another machine build and push it, or follow that branch",
			t.Name, want.Name, plan.Short(w.Revision.Hash))
	}
	return w, want, errors.Join(err, job.End())
}

// isReference reports whether a name is an image's rather than git's: it names a
// registry, or has a colon, which git's names cannot have.
func isReference(name string) bool {
	host, _, path := strings.Cut(name, "/")
	return strings.ContainsRune(name, ':') || path && (strings.Contains(host, ".") || host == "localhost")
}
