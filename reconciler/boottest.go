package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/qemu"
	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
)

// A bootTest boots what is staged and not published yet in a virtual machine. It holds no
// lock meanwhile: the machine converges on.
type bootTest struct {
	*Reconciler
	of      *wanted.Wanted
	terms   spec.BootTest
	trigger string
	patient bool
	// step is told of each; nil to tell nobody.
	step func(plan.Action)
}

// newBootTest is the test of what a run has staged, if there is something to test.
func newBootTest(r *Reconciler, w *wanted.Wanted, staged machine.Result, req Request) (t bootTest, due bool) {
	if w.Wants == nil || w.Wants.BootTest == nil || len(staged.Plan.Untested) == 0 {
		return t, false
	}
	return bootTest{Reconciler: r, of: w, terms: *w.Wants.BootTest, trigger: req.Trigger, patient: req.Patient}, true
}

// converge has the machine make a run on documents that were read, and another when what
// has to come up in a virtual machine first has done so, or not.
func converge(ctx context.Context, r *Reconciler, w *wanted.Wanted, docs state.Documents, req Request) (result machine.Result, err error) {
	result, err = r.Machine.RunOn(ctx, docs, w, req.machine(nil), nil)
	for {
		if err == nil && result.Plan.Asks() {
			result, err = r.Machine.Run(ctx, w, req.machine(nil), nil)
		}
		if err != nil || req.Fetch {
			return result, err
		}
		test, due := newBootTest(r, w, result, req)
		if !due {
			return result, nil
		}
		result.State = nil // what came of the tests is noted
		if known, err := test.all(ctx, result.Plan.Untested); err != nil || !known {
			return result, err
		}
		result, err = r.Machine.Run(ctx, w, req.machine(nil), nil)
	}
}

// bootTestTrigger asks for the run that publishes what has come up.
const bootTestTrigger = "boot test"

// next is what is to be booted now, "" for nothing: of what could not be booted before
// only what may be tried again.
func (t bootTest) next(doc *state.Machine) (of state.Found, found bool) {
	for _, f := range state.Untested(doc, t.terms.Key()) {
		if u := f.Untested; u == nil || !t.patient || u.Rests(t.terms.Key(), t.Machine.Now()) == nil {
			return f, true
		}
	}
	return of, false
}

// ready are the deployments that are to be booted.
func (t bootTest) ready() (ids []string) {
	if t.Reconciler == nil {
		return nil
	}
	doc, err := state.LoadMachine(t.Machine.Stage.Dir())
	if err != nil {
		return nil // which the run that looks next says
	}
	for _, f := range state.Untested(doc, t.terms.Key()) {
		ids = append(ids, f.Deployment)
	}
	return ids
}

// all boots everything that is to be, and reports whether more is known now of what is
// waited for, so that a run has something to do. What cannot be found out is tried once.
func (t bootTest) all(ctx context.Context, waited []plan.Untested) (known bool, err error) {
	tried := map[string]bool{}
	for {
		doc, err := state.LoadMachine(t.Machine.Stage.Dir())
		if err != nil {
			return known, err
		}
		of, found := t.next(doc)
		if !found || tried[of.Deployment] {
			return known || slices.ContainsFunc(waited, func(u plan.Untested) bool {
				img := doc.Images[u.Image]
				return img != nil && img.Ready != nil && doc.Verdicts.Tested(img.Ready, t.terms.Key())
			}), nil
		}
		tried[of.Deployment] = true
		tested, err := t.one(ctx, of)
		if known = known || tested; err != nil {
			return known, err
		}
	}
}

// one boots a generation, and notes how that went.
func (t bootTest) one(ctx context.Context, of state.Found) (tested bool, err error) {
	log, discard, err := rehearsal.NewLog(rehearsal.TempDir())
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, discard()) }()
	began := t.Machine.Now().UTC()
	act := plan.Action{Kind: plan.TestDeployment, Image: of.Image, Generation: of.N, Subject: of.Deployment, Reason: "it is to come up in a virtual machine before it has a menu entry"}
	if t.step != nil {
		t.step(act)
	}
	test, failure := t.boot(ctx, of, log)
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	w := t.of
	run := state.Run{
		Part: "machine", Trigger: t.trigger, Revision: w.Revision.Hash, Subject: w.Revision.Subject, Author: w.Revision.Author,
		Began: began, Ended: t.Machine.Now().UTC(), Steps: []state.Step{{Action: act, Began: began}},
	}
	why := failure
	if test != nil && test.Failure != "" {
		why = errors.New("boot test: " + test.Failure)
	}
	if why != nil {
		run.Fail(map[string]error{of.Image: why}, nil)
	}
	err = machine.Bench{Machine: &t.Machine}.Rehearsed(ctx, of, t.terms.Key(), test, failure, func(*state.Machine) error {
		t.keep(of, run, log)
		return nil
	})
	return test != nil && err == nil, err
}

// keep keeps what is to be read of a boot test. What it has shown counts without that,
// such as on a full disk.
func (t bootTest) keep(of state.Found, run state.Run, log *os.File) {
	dir := t.Machine.Stage.Dir()
	if err := errors.Join(run.Save(dir), rehearsal.KeepLog(dir, of.Image, of.N, run.Began, log)); err != nil {
		t.log.Warn("what is to be read of a boot test is not kept", "image", of.Image, "generation", of.N, "error", durable.Failing(dir, err))
	}
}

// boot boots a generation until it is judged. The error is why that could not be.
func (t bootTest) boot(ctx context.Context, of state.Found, log io.Writer) (test *state.Test, err error) {
	manifest, err := t.Machine.Stage.Deployment(of.Deployment)
	if err != nil {
		return nil, err
	}
	task := progress.Start(t.Machine.Progress, "boot test of "+of.Name(), 0)
	defer func() { task.End(err) }()
	d := rehearsal.Deployment{Manifest: manifest, Machine: t.Machine.Name, Object: t.Machine.Stage.ObjectPath}
	out, err := rehearsal.Judge(ctx, d, rehearsal.Options{
		Temp: rehearsal.TempDir(), Memory: t.terms.Memory, Network: network(t.terms), Log: log, Known: rehearsal.KnownKVM(), Progress: t.Machine.Progress,
	})
	if err != nil {
		return nil, fmt.Errorf("boot test: %w", err)
	}
	t.log.Info("boot test", "image", of.Image, "generation", of.N, "good", out.Good, "took", out.Took.Round(time.Second/10), "accelerator", out.Accel)
	test = &state.Test{Key: t.terms.Key(), Time: t.Machine.Now().UTC().Truncate(time.Second), Seconds: out.Took.Round(time.Second / 10).Seconds(), Accelerator: string(out.Accel)}
	if !out.Good {
		test.Failure, test.Console = plain.Line(out.Reason), out.Last()
	}
	return test, nil
}

func network(b spec.BootTest) qemu.Network {
	switch b.Network {
	case "isolated":
		return qemu.Isolated
	case "outside":
		return qemu.Outside
	}
	return qemu.Alone
}
