package machine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
)

// Try stages an image as w's revision has it, and asks the boot loader to boot it
// at the next boot, and only then. It is no generation, never the default, and in
// place of what was tried before. The source is what it is called by.
func (m *Machine) Try(ctx context.Context, w *wanted.Wanted, want spec.Image, source string, wait bool) (t state.Trial, err error) {
	fs, err := m.Book.Bootable(ctx)
	if err == nil {
		_, err = m.Book.Memory(ctx, fs)
	}
	if err != nil {
		return t, fmt.Errorf("try %s: %w", source, err)
	}
	lock, err := m.lock(ctx, wait)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	once := *m
	once.Turn, once.Find.Update = 24*time.Hour, true // there is nothing that would not wait for it
	doc, err := state.LoadMachine(m.Stage.Dir())
	if err != nil {
		return t, err
	}
	j, err := once.open(ctx, doc, w, Request{Trigger: "try", Update: true})
	if err != nil {
		return t, err
	}
	began := m.Now().UTC()
	t, err = tryer{j}.stage(ctx, want, source)
	return t, errors.Join(err, j.keepRecord(began, Result{Changed: err == nil}, err))
}

// A tryer stages what is tried.
type tryer struct{ *Job }

// stage puts an image's deployment on the stage, into the menu, and before the
// boot loader. Until the last step the next boot is what it was.
func (j tryer) stage(ctx context.Context, want spec.Image, source string) (t state.Trial, err error) {
	img := j.observeImage(ctx, want)
	if img.err != nil {
		return t, fmt.Errorf("try %s: %w", source, img.err)
	}
	if img.opened == nil && img.made == nil {
		if err := j.observeLayers(ctx, img); err != nil {
			return t, fmt.Errorf("try %s: %w", source, err)
		}
	}
	j.images[want.Name] = img
	j.plan = plan.Plan{Machine: j.Name, Stagings: []plan.Staging{plan.Trying(want.Name, img.inputs, img.layers)}, Failed: map[string]error{}}
	a := newApplication(ctx, j.Job, nil)
	defer a.turns.end()
	s := a.stagings[0]
	err = walk(ctx, []step{
		{"clean", "", a.clean},
		{"reserve", "", a.reserve},
		{"layers", plan.AddLayer, a.layers},
		{"kernels", "", a.kernels},
		{"hooks", "", a.hooks},
		{"init", "", entrance{a}.look},
		{"trees", "", fetcher{a}.trees},
		{"deployments", plan.AddDeployment, a.deployments},
		{"settle", "", a.settle},
	}, j.plan.MachineActions())
	if err = errors.Join(err, s.err); err != nil {
		return t, fmt.Errorf("try %s: %w", source, err)
	}
	t = state.Trial{Image: want.Name, Deployment: s.id, Source: source, Revision: j.Revision.Hash, Digest: img.inputs.ImageDigest, Since: j.now()}
	return t, j.ask(ctx, t)
}

// ask publishes a trial, and asks the boot loader for it.
func (j tryer) ask(ctx context.Context, t state.Trial) error {
	before := j.doc.Trial
	j.doc.Trial = &t
	if j.doc.Machine == "" {
		j.doc.Machine = j.Wants.Machine
	}
	if err := j.publish(ctx, j.location, j.doc); err != nil {
		return err
	}
	if err := fault.Point("try.published"); err != nil {
		return err
	}
	if err := askOnce(ctx, &j.Book, j.location, boot.TrialID(t.Deployment)); err != nil {
		return fmt.Errorf("ask the boot loader for %s: %w", t.Source, err)
	}
	return j.forget(ctx, before, j.doc)
}

// askOnce has the boot loader boot an entry of the menu at the next boot, and only
// then; "" takes that back.
func askOnce(ctx context.Context, book *menu.Book, fs boot.Filesystem, id string) error {
	memory, err := book.Memory(ctx, fs)
	if err != nil {
		return err
	}
	return memory.Change(func(is *boot.Memory) { is.Once = id })
}

// Drop takes what is tried out of the menu and off the stage, and reports what that
// was, if there was something. What runs stays until the machine is left for
// another entry.
func (m *Machine) Drop(ctx context.Context, wait bool) (t *state.Trial, err error) {
	fs, err := m.Book.Bootable(ctx)
	if err != nil {
		return nil, err
	}
	err = m.change(ctx, wait, func(doc *state.Machine) error {
		if t, doc.Trial = doc.Trial, nil; t == nil {
			return nil
		}
		return askOnce(ctx, &m.Book, fs, "")
	}, func(doc *state.Machine) error { return m.forget(ctx, t, doc) })
	return t, err
}

// forget removes the deployment of a trial that is none any more, unless something
// else names it.
func (m *Machine) forget(ctx context.Context, t *state.Trial, doc *state.Machine) error {
	if t == nil || t.Deployment == m.Book.Booted || slices.Contains(doc.Deployments(), t.Deployment) {
		return nil
	}
	if err := m.Stage.RemoveDeployment(t.Deployment); err != nil {
		return err
	}
	_, err := m.Stage.Collect(ctx, false)
	return err
}

// endTrial forgets a trial that the machine has booted and left.
func endTrial(ctx context.Context, j *Job) {
	if j.doc.Trial == nil {
		return
	}
	memory, err := j.Book.Memory(ctx, j.location)
	var is boot.Memory
	if err == nil {
		is, err = memory.Read()
	}
	if err != nil {
		j.Log.Warn("whether what is tried was booted is not known", "source", j.doc.Trial.Source, "error", err)
		return
	}
	if j.doc.Trial.Over(is.Once, j.Book.Booted) {
		j.next.Trial = nil
	}
}
