package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// Try stages an image as w's revision has it, and asks the boot loader to boot it
// at the next boot, and only then. It is no generation, never the default, and in
// place of what was tried before. The source is what it is called by.
func (m *Machine) Try(ctx context.Context, w *wanted.Wanted, want spec.Image, source string, wait bool) (t state.Trial, err error) {
	defer func() { err = stage.Failed(m.Stage, err) }()
	fs, err := m.Book.Bootable(ctx)
	if err == nil {
		_, err = m.Book.Memory(ctx, fs)
	}
	if err == nil {
		err = signs(m)
	}
	if err != nil {
		return t, fmt.Errorf("try %s: %w", source, err)
	}
	lock, err := m.lock(ctx, wait)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	j, err := newTryer(ctx, m, w, Request{})
	if err != nil {
		return t, err
	}
	began := m.Now().UTC()
	t, err = j.try(ctx, want, source)
	return t, errors.Join(err, j.keepRecord(began, Result{Changed: err == nil}, err))
}

// signs refuses what somebody elsewhere would have to sign who does not know of it.
func signs(m *Machine) error {
	borrows, err := menu.Borrows(&m.Book)
	if err == nil && borrows {
		err = errors.New("here is the certificate and not the key that signs, and what is signed elsewhere is what the config repo says; declare it as an image there")
	}
	return err
}

// Rehearse stages an image as Try does, for as long as prepare takes what it needs of
// that, and takes it off the stage again. Neither the machine's state nor its menu
// hears of it.
func (b Bench) Rehearse(ctx context.Context, w *wanted.Wanted, want spec.Image, source string, wait bool, prepare func(*deployment.Manifest) error) (t state.Trial, err error) {
	defer func() { err = stage.Failed(b.Stage, err) }()
	lock, err := b.lock(ctx, wait)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	j, err := newTryer(ctx, b.Machine, w, Request{Retry: true})
	if err != nil {
		return t, err
	}
	giveBack, err := j.borrow()
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, giveBack()) }()
	s, err := j.stage(ctx, want, source, func(a *application) []step {
		return []step{{"machine", plan.AddDeployment, func(ctx context.Context, _ []plan.Action) error {
			return a.each(ctx, "prepare a virtual machine", func(_ context.Context, s *staging) (err error) {
				m := s.manifest()
				data, err := m.Canonical()
				if err != nil {
					return err
				}
				s.id = deployment.ID(data)
				return prepare(m)
			})
		}}}
	})
	if err != nil {
		return t, err
	}
	return j.trial(s, source), nil
}

// A tryer stages what is tried.
type tryer struct{ *Job }

// newTryer looks at the machine, whose lock the caller holds. There is nothing that
// would not wait for what is tried.
func newTryer(ctx context.Context, m *Machine, w *wanted.Wanted, req Request) (tryer, error) {
	once := *m
	once.Turn, once.Find.Update = 24*time.Hour, true
	docs, err := state.Load(m.Stage.Dir())
	if err != nil {
		return tryer{}, err
	}
	req.Trigger, req.Update = "try", true
	j, err := once.open(ctx, docs, w, req)
	return tryer{j}, err
}

// try puts an image's deployment on the stage, into the menu, and before the boot
// loader. Until the last step the next boot is what it was.
func (j tryer) try(ctx context.Context, want spec.Image, source string) (t state.Trial, err error) {
	s, err := j.stage(ctx, want, source, func(a *application) []step {
		return []step{{"deployments", plan.AddDeployment, a.deployments}, {"settle", "", a.settle}}
	})
	if err != nil {
		return t, err
	}
	t = j.trial(s, source)
	return t, j.ask(ctx, t)
}

func (j tryer) trial(s *staging, source string) state.Trial {
	return state.Trial{Image: s.Image, Deployment: s.id, Source: source, Revision: j.Revision.Hash, Digest: s.image.inputs.ImageDigest, Since: j.now()}
}

// stage puts on the stage all that an image's deployment is made of. What comes of it
// is done last.
func (j tryer) stage(ctx context.Context, want spec.Image, source string, last func(*application) []step) (s *staging, err error) {
	img := j.observeImage(ctx, want)
	if img.err != nil {
		return nil, fmt.Errorf("try %s: %w", source, img.err)
	}
	if img.opened == nil && img.made == nil {
		if err := j.observeLayers(ctx, img); err != nil {
			return nil, fmt.Errorf("try %s: %w", source, err)
		}
	}
	j.images[want.Name] = img
	j.plan = plan.Plan{Machine: j.Name, Stagings: []plan.Staging{plan.Trying(want.Name, img.inputs, img.layers)}, Failed: map[string]error{}}
	a := newApplication(ctx, j.Job, nil)
	defer a.garbage.asUsual()
	defer a.turns.end()
	s = a.stagings[0]
	err = walk(ctx, slices.Concat([]step{
		{"clean", "", a.clean},
		{"reserve", "", a.reserve},
		{"layers", plan.AddLayer, a.layers},
		{"kernels", "", a.kernels},
		{"hooks", "", a.hooks},
		{"init", "", entrance{a}.look},
		{"trees", "", fetcher{a}.trees},
	}, last(a)), j.plan.MachineActions())
	if err = errors.Join(err, s.err); err != nil {
		return nil, fmt.Errorf("try %s: %w", source, err)
	}
	return s, nil
}

// borrow has what is staged from now on taken away again, however staging it ends.
func (j tryer) borrow() (clear func() error, err error) {
	downloads := j.Stage.Downloads()
	before, err := names(downloads)
	if err != nil {
		return nil, err
	}
	return func() error {
		after, err := names(downloads)
		for _, name := range after {
			if !slices.Contains(before, name) {
				err = errors.Join(err, os.RemoveAll(filepath.Join(downloads, name)))
			}
		}
		_, cerr := j.Stage.Collect(context.Background(), false) // whatever has ended
		return errors.Join(err, j.Stage.Clean(), cerr)
	}, nil
}

// names are those of what is in a folder, which need not be there.
func names(dir string) (all []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all, err
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
