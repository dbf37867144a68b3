package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/integrity"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/verdict"
)

// maxBoots is how many records of boots are kept.
const maxBoots = 100

// A Bench judges what is on trial, by how the machine was booted: once for each
// boot, and again when process 1 has decided of the one that goes on.
type Bench struct{ *Machine }

// Judge notes what has become known since the machine's document was written, which was
// read, and writes the menu that follows from it. It returns the document as it is then.
// It takes no lock and writes nothing if nothing has become known, which costs no more
// than a small file.
func (b Bench) Judge(ctx context.Context, doc *state.Machine, wait bool) (changes []verdict.Change, now *state.Machine, err error) {
	if !b.unjudged(doc) {
		return nil, doc, nil
	}
	seen, err := b.look(ctx, doc)
	if err != nil {
		return nil, doc, fmt.Errorf("find out how the machine was booted: %w", err)
	}
	next, err := doc.Clone()
	if err != nil {
		return nil, doc, err
	}
	changes = verdict.Judge(next, seen)
	if doc.Boot == b.BootID && len(changes) == 0 && !integrity.Unheeded(seen.Boots) {
		return nil, doc, nil
	}
	do := b.Note
	if len(changes) > 0 {
		do = b.Change
	}
	err = do(ctx, wait, func(doc *state.Machine) error {
		now, changes, doc.Boot = doc, verdict.Judge(doc, seen), b.BootID
		return b.keepRecords(seen)
	})
	if err != nil {
		return nil, doc, fmt.Errorf("note how the machine was booted: %w", err)
	}
	for _, c := range changes {
		if c.State == boot.Bad {
			b.Log.Warn(c.String(), "deployment", c.Deployment)
		} else {
			b.Log.Info(c.String(), "deployment", c.Deployment)
		}
	}
	return changes, now, nil
}

// Foresee has a document that is only shown say what the next run will note of the
// deployment that runs: process 1 has decided of it, whether somebody takes it down or not.
// What cannot be read is told by the run.
func (b Bench) Foresee(ctx context.Context, doc *state.Machine) {
	if b.Book.Booted == "" || !b.unjudged(doc) {
		return
	}
	if seen, err := b.look(ctx, doc); err == nil {
		verdict.Judge(doc, seen)
	}
}

// unjudged reports whether there may be something to judge by that a document does not know.
func (b Bench) unjudged(doc *state.Machine) bool {
	return b.BootID != "" && doc.Machine == b.Name && (doc.Boot != b.BootID || b.decided(doc))
}

// decided reports whether process 1 may have decided of a boot on trial, or found
// something damaged, which the document does not know yet.
func (b Bench) decided(doc *state.Machine) bool {
	if b.Book.Booted == "" {
		return b.newer()
	}
	record, known := b.trial(doc)
	return known && record.Verdict != ""
}

// Awaits reports whether process 1 is still to decide of the boot that goes on.
func (b Bench) Awaits(doc *state.Machine) bool {
	record, known := b.trial(doc)
	return known && record.Trying && record.Verdict == ""
}

// trial is the record of the boot that goes on, if that is one of a trial.
func (b Bench) trial(doc *state.Machine) (record deployment.Boot, known bool) {
	if doc.Verdicts.State(b.Book.Booted) != boot.Trying {
		return record, false
	}
	record, err := deployment.ReadBoot(b.Stage.Dir(), b.BootID)
	return record, err == nil
}

// newer reports whether there are records of boots since the document was written: a
// stage may be booted while another system runs on, because its disk is carried from
// one machine to the other, or is a virtual machine's.
func (b Bench) newer() bool {
	changed, err := os.Stat(filepath.Join(b.Stage.Dir(), deployment.BootsDir))
	if err != nil {
		return false
	}
	noted, err := os.Stat(b.Stage.StateFile())
	return err == nil && changed.ModTime().After(noted.ModTime())
}

// Rehearsed notes how the boot test of a generation went that is ready, or why it could
// not be made, if it still is; what did not come up is taken off the stage, and known to
// be bad. What is to be kept with it is done last, under the same lock.
func (b Bench) Rehearsed(ctx context.Context, of state.Found, key string, test *state.Test, failure error, keep func(*state.Machine) error) error {
	gone := false
	return b.Note(ctx, true, func(doc *state.Machine) error {
		img := doc.Images[of.Image]
		ready := img.Waiting(of.Deployment)
		if ready == nil {
			return nil
		}
		if ready.Test, ready.Untested = test, ready.Untested.Tried(failure, key, whose(b.Name, of.Image), b.now()); test == nil || test.Failure == "" {
			return nil
		}
		doc.Judge(of.Deployment, state.Verdict{Image: of.Image, State: boot.Bad, Since: b.now(), Reason: test.Failure, Test: test, Inputs: &ready.Inputs})
		img.Ready, gone = nil, true
		return nil
	}, func(doc *state.Machine) error {
		if !gone || of.Deployment == b.Book.Booted || slices.Contains(doc.Deployments(), of.Deployment) {
			return nil
		}
		return b.Stage.RemoveDeployment(of.Deployment)
	}, keep)
}

func (b Bench) look(ctx context.Context, doc *state.Machine) (seen verdict.Seen, err error) {
	seen = verdict.Seen{Booted: b.Book.Booted, Now: b.now()}
	if seen.Boots, err = deployment.ReadBoots(b.Stage.Dir()); err != nil {
		return seen, err
	}
	fs, err := b.Book.Locate(ctx)
	if err != nil {
		return seen, err
	}
	if memory, err := b.Book.Of(doc).Memory(ctx, fs); err == nil { // else nothing is counted
		seen.Memory, err = memory.Read()
		seen.Damaged = err != nil
	}
	return seen, nil
}

// keepRecords keeps a record of this boot, if process 1 has left none, and no more
// records than there may be.
func (b Bench) keepRecords(seen verdict.Seen) error {
	if !slices.ContainsFunc(seen.Boots, func(boot deployment.Boot) bool { return boot.ID == b.BootID }) {
		record := deployment.Boot{ID: b.BootID, Machine: b.Name, Deployment: b.Book.Booted, Via: b.Via, Started: b.Now().Add(-b.Find.Uptime()).UTC().Truncate(time.Second)}
		data, err := record.Encode()
		if err != nil {
			return err
		}
		path := filepath.Join(b.Stage.Dir(), filepath.FromSlash(record.Path()))
		if err := errors.Join(durable.MkdirAll(filepath.Dir(path), 0o700), durable.WriteFile(path, data, 0o600)); err != nil {
			return err
		}
	}
	if err := integrity.Heed(b.Stage, seen.Boots[:min(maxBoots, len(seen.Boots))]); err != nil {
		return err
	}
	for _, old := range seen.Boots[min(maxBoots-1, len(seen.Boots)):] {
		if err := os.Remove(filepath.Join(b.Stage.Dir(), filepath.FromSlash(old.Path()))); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
