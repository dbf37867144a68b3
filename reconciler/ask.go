package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/takeover"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/reconciler/workshop"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// Wanted returns what the config repo's current revision wants of this machine.
func (r *Reconciler) Wanted(ctx context.Context) (*wanted.Wanted, error) {
	return r.read(ctx, Request{}, nil)
}

// Status reports what is staged. It asks neither the config repo nor a registry.
func (r *Reconciler) Status(ctx context.Context) (report.Status, error) {
	s, err := report.Of(ctx, &r.Machine.Book, machine.Bench{Machine: &r.Machine}.Foresee)
	if !s.Suspension.Stands(r.Machine.Now()) {
		s.Suspension = nil
	}
	if err != nil {
		return s, err
	}
	if s.Booted != "" {
		s.Via = r.Machine.Via
		s.Reboot.Method, s.Reboot.NotKexec = r.restarts(ctx)
	}
	s.Clock, err = r.clock()
	return s, err
}

// restarts says how the machine is restarted by itself, and why not by kexec if it was
// to be.
func (r *Reconciler) restarts(ctx context.Context) (method, why string) {
	if !r.kexec {
		return report.Ordinary, ""
	}
	if err := takeover.Possible(ctx, &r.Machine.Book); err != nil {
		return report.Ordinary, err.Error()
	}
	return deployment.ViaKexec, ""
}

// clock says why the machine's is not believed, "" if it is.
func (r *Reconciler) clock() (string, error) {
	doc, err := state.LoadMachine(r.Machine.Stage.Dir())
	if err != nil {
		return "", err
	}
	made, err := state.LoadWorkshop(r.Machine.Stage.Dir())
	if err != nil {
		return "", err
	}
	find := r.Machine.Find
	find.CheckClock(doc.Newest(), made.Newest())
	return find.Unset, nil
}

// Build builds images and the bases that they need, publishes those that are for
// others, unless it is told not to, and stages nothing.
func (r *Reconciler) Build(ctx context.Context, req workshop.Request, publish bool) (results []workshop.Result, err error) {
	req.Anyway = true // it was asked for by name
	w, err := r.read(ctx, Request{Wait: req.Wait}, nil)
	if err != nil {
		return nil, err
	}
	job, err := r.Shop.Look(ctx, w, req)
	if err != nil {
		return nil, err
	}
	if err := job.Begin(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, job.End()) }()
	if err := job.Make(ctx); err != nil {
		return nil, err
	}
	if publish {
		err = job.Publish(ctx)
	}
	return job.Results(), err
}

// Render returns the Containerfile that building an image executes.
func (r *Reconciler) Render(ctx context.Context, name string) ([]byte, error) {
	w, err := r.read(ctx, Request{}, nil)
	if err != nil {
		return nil, err
	}
	return r.Shop.Render(ctx, w, name)
}

// Inspect opens a wanted image where it comes from now.
func (r *Reconciler) Inspect(ctx context.Context, name string) (*image.Image, error) {
	w, err := r.read(ctx, Request{}, nil)
	if err != nil {
		return nil, err
	}
	want, err := imageOf(w, name)
	if err != nil {
		return nil, err
	}
	if want.Build != nil {
		made, err := state.LoadWorkshop(r.Shop.Stage.Dir())
		if err != nil {
			return nil, err
		}
		return builtImage(ctx, &r.Shop, name, made.Build(name))
	}
	found, opened, err := r.Machine.Find.Resolve(ctx, state.Origin{}, want, w.Files)
	if err != nil || opened != nil {
		return opened, err
	}
	return r.Machine.Find.Open(ctx, want, found.Digest, w.Files)
}

// Hooks renders the hooks of one image, as a run would onto its newest
// generation, and writes their layer as a tar archive.
func (r *Reconciler) Hooks(ctx context.Context, name string, wait bool, to io.Writer) (diffID string, atBoot []string, err error) {
	w, err := r.read(ctx, Request{Wait: wait}, nil)
	if err != nil {
		return "", nil, err
	}
	want, err := imageOf(w, name)
	if err != nil {
		return "", nil, err
	}
	return r.Machine.Hooks(ctx, want, wait, to)
}

// imageOf returns one of the wanted images by name.
func imageOf(w *wanted.Wanted, name string) (spec.Image, error) {
	var known []string
	for _, img := range w.Wants.Images {
		if img.Name == name {
			return img, nil
		}
		known = append(known, img.Name)
	}
	return spec.Image{}, &state.NameError{None: fmt.Sprintf("machine %q has no image", w.Wants.Machine), Name: name, Known: known}
}

// builtImage tells what the last build of an image gave.
func builtImage(ctx context.Context, shop *workshop.Shop, name string, b *state.Build) (*image.Image, error) {
	if b.Digest == "" {
		return nil, fmt.Errorf("image %q is not built yet; `gitboot image build %s` builds it, and so does the next reconcile", name, name)
	}
	layers, err := shop.Layers(ctx, b)
	return &image.Image{Digest: b.Digest, Created: b.Epoch, Layers: layers}, err
}

// Machines returns the names of the machines that the config repo has in the
// revision that was applied last to the stage in dir.
func Machines(ctx context.Context, dir, subdir string) ([]string, error) {
	doc, err := state.LoadMachine(dir)
	if err != nil {
		return nil, err
	}
	return wanted.Machines(ctx, stage.Layout(dir).Repo(), subdir, doc.Revision)
}
