package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/integrity"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/tests/need"
)

// A firmware boots a house's machine: it does what GRUB and process 1 would.
type firmware struct {
	*house
	boots int
}

func (f *firmware) remembers(t *testing.T) boot.Memory {
	t.Helper()
	m, err := f.Book.Memory(t.Context(), *f.Book.Location)
	must(t, err)
	is, err := m.Read()
	must(t, err)
	return is
}

func (f *firmware) changes(t *testing.T, do func(*boot.Memory)) {
	t.Helper()
	m, err := f.Book.Memory(t.Context(), *f.Book.Location)
	must(t, err)
	must(t, m.Change(do))
}

// boot boots a generation, "" for another system, of which process 1 says verdict,
// "-" for nothing at all.
func (f *firmware) boot(t *testing.T, name, verdict string) {
	t.Helper()
	f.boots++
	f.now = f.now.Add(time.Minute)
	f.BootID, f.Book.Booted = fmt.Sprintf("00000000-0000-4000-8000-%012d", f.boots), ""
	f.Find.Uptime = func() time.Duration { return time.Second }
	if name == "" {
		return
	}
	found, err := f.doc(t).Find(name)
	must(t, err)
	f.Book.Booted = found.Deployment
	if verdict == "-" {
		return
	}
	record := deployment.Boot{ID: f.BootID, Machine: "laptop", Deployment: found.Deployment, Trying: true, Started: f.now, Verdict: verdict, Reason: "no network"}
	data, err := record.Encode()
	must(t, err)
	path := filepath.Join(f.Stage.Dir(), record.Path())
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, data, 0o600))
	f.later(t)
}

// later has records of boots be newer than the document: no boot is within the same tick
// of the file system's clock.
func (f *firmware) later(t *testing.T) {
	t.Helper()
	doc, err := os.Stat(f.Stage.StateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	must(t, err)
	must(t, os.Chtimes(filepath.Join(f.Stage.Dir(), deployment.BootsDir), time.Time{}, doc.ModTime().Add(time.Millisecond)))
}

// judge judges, and sees what became known.
func (f *firmware) judge(t *testing.T, want ...string) {
	t.Helper()
	changes, now, err := Bench{f.Machine}.Judge(t.Context(), f.doc(t), false)
	must(t, err)
	if !now.Same(f.doc(t)) {
		t.Errorf("what is handed on is %+v and not what was written: %+v", now, f.doc(t))
	}
	var got []string
	for _, c := range changes {
		got = append(got, c.String())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("became known: %q, want %q", got, want)
	}
	again, _, err := Bench{f.Machine}.Judge(t.Context(), now, false)
	if must(t, err); len(again) > 0 {
		t.Errorf("again: %v", again)
	}
}

// byItself sees which generation boots by itself, and which if that does not.
func (f *firmware) byItself(t *testing.T, name, fallback string) {
	t.Helper()
	m := f.Book.Menu(*f.Book.Location, f.doc(t), nil)
	id := func(name string) string {
		if name == "" {
			return ""
		}
		found, err := f.doc(t).Find(name)
		must(t, err)
		return boot.EntryID(found.Image, found.Deployment)
	}
	if m.Default != id(name) || m.Fallback != id(fallback) {
		t.Errorf("%q boots, else %q; want %q, else %q", m.Default, m.Fallback, id(name), id(fallback))
	}
}

// fails has what is newest used up, the machine boot another generation, and that
// known.
func (f *firmware) fails(t *testing.T, name, runs string) {
	t.Helper()
	entry, err := f.doc(t).Find(name)
	must(t, err)
	f.boot(t, name, "bad")
	f.changes(t, func(m *boot.Memory) {
		if m.Trying != boot.EntryID(entry.Image, entry.Deployment) || m.Left != 3 {
			t.Errorf("before %s fails the boot loader remembers %+v", name, *m)
		}
		m.Left = 0
	})
	f.boot(t, runs, "-")
	f.judge(t, fmt.Sprintf("%s, generation %d, is bad: no network", entry.Image, entry.N))
}

var plainOnly = strings.Replace(twoImages, `images = ["plain", "other"]`, `images = ["plain"]`, 1)

// called is a config of another content.
func called(name string) string { return strings.Replace(plainOnly, `"one"`, `"`+name+`"`, 1) }

// What is new is on trial, good when it has proved so, and what was bad is neither
// chosen nor staged again.
func TestOnTrial(t *testing.T) {
	f := &firmware{house: newHouse(t)}
	f.run(t, "1", called("one"))
	f.byItself(t, "plain:1", "")
	entry := boot.EntryID("plain", f.doc(t).Images["plain"].Newest().Deployment)
	if m := f.menu(t); !strings.Contains(m, "[trying]") || !strings.Contains(m, "'gitboot.trying=1'") || !strings.Contains(m, "'gitboot.entry="+entry+"'") {
		t.Error(m)
	}
	if is := f.remembers(t); is.Trying != entry || is.Left != 3 {
		t.Errorf("%+v", is)
	}
	f.boot(t, "plain:1", "")
	f.judge(t)
	f.boot(t, "plain:1", "good")
	shown := f.doc(t)
	Bench{f.Machine}.Foresee(t.Context(), shown)
	if id := shown.Images["plain"].Newest().Deployment; shown.Verdicts.State(id) != boot.Good || f.doc(t).Verdicts.State(id) != boot.Trying {
		t.Errorf("shown is %+v, noted %+v", shown.Verdicts[id], f.doc(t).Verdicts[id])
	}
	f.judge(t, "plain, generation 1, is good")
	if m := f.menu(t); strings.Contains(m, "gitboot.trying") || strings.Contains(m, "gitboot_count") {
		t.Error(m)
	}

	_, _, result := f.run(t, "2", called("two"))
	if len(result.Plan.Removals) > 0 {
		t.Errorf("what is good goes, with keep = 1: %v", result.Plan.Removals)
	}
	f.byItself(t, "plain:2", "plain:1")
	f.fails(t, "plain:2", "plain:1")
	f.byItself(t, "plain:1", "")
	if m := f.menu(t); !strings.Contains(m, "[bad]") || strings.Contains(m, "gitboot.trying") {
		t.Error(m)
	}
	if _, done, result := f.run(t, "2", called("two")); len(done) > 0 || len(result.Failed) > 0 || len(result.Plan.Refused) != 1 {
		t.Errorf("what is bad: %v, %v, %v", done, result.Failed, result.Plan.Refused)
	}

	f.run(t, "3", called("one")) // as it was, which is known to be good
	f.byItself(t, "plain:3", "")
	if _, done, result := f.run(t, "4", called("two")); len(result.Plan.Stagings) > 0 || len(result.Plan.Refused) != 1 {
		t.Errorf("what is bad comes again: %v", done)
	}
	f.byItself(t, "plain:3", "")
	result, err := f.Run(t.Context(), f.wants(t, "4", called("two")), Request{Trigger: "test", Retry: true}, nil)
	if err != nil || len(result.Plan.Stagings) != 1 {
		t.Errorf("it is not tried again: %v, %v", result.Plan.Actions(), err)
	}
	f.byItself(t, "plain:4", "plain:3")
	if is := f.remembers(t); is.Left != 3 {
		t.Errorf("%+v", is)
	}
}

// A stage is booted, and this system, which is another, has run on meanwhile.
func TestBootedMeanwhile(t *testing.T) {
	f := &firmware{house: newHouse(t)}
	f.boot(t, "", "")
	f.run(t, "1", called("one"))
	f.judge(t)
	here := f.BootID
	f.boot(t, "plain:1", "good")
	f.BootID, f.Book.Booted = here, ""
	f.judge(t, "plain, generation 1, is good")
	f.finds(t, "plain:1") // though nothing is on trial
	f.BootID, f.Book.Booted = here, ""
	f.judge(t)
	boots, err := deployment.ReadBoots(f.Stage.Dir())
	must(t, err)
	if integrity.Unheeded(boots) {
		t.Errorf("nobody heeds what was found: %+v", boots)
	}
	f.run(t, "2", called("two"))
	f.byItself(t, "plain:2", "plain:1")
}

// finds has process 1 come across a damaged layer of a generation.
func (f *firmware) finds(t *testing.T, name string) {
	t.Helper()
	f.boot(t, name, "bad")
	record, err := deployment.ReadBoot(f.Stage.Dir(), f.BootID)
	must(t, err)
	m, err := f.Stage.Deployment(record.Deployment)
	must(t, err)
	record.Trying, record.Damaged = false, []string{m.Layers[0].SHA256}
	data, err := record.Encode()
	must(t, err)
	must(t, os.WriteFile(filepath.Join(f.Stage.Dir(), record.Path()), data, 0o600))
	f.later(t)
}

// Tried once more is also what is on the stage still.
func TestRetryWhereItLies(t *testing.T) {
	f := &firmware{house: newHouse(t)}
	f.run(t, "1", called("one"))
	f.boot(t, "plain:1", "good")
	f.judge(t, "plain, generation 1, is good")
	f.run(t, "2", called("two"))
	f.fails(t, "plain:2", "plain:1")
	f.now = f.now.Add(time.Hour)
	_, err := f.Run(t.Context(), f.wants(t, "2", called("two")), Request{Trigger: "test", Retry: true}, nil)
	must(t, err)
	f.byItself(t, "plain:2", "plain:1")
	if is := f.remembers(t); is.Left != 3 {
		t.Errorf("%+v", is)
	}
	f.boot(t, "plain:1", "-")
	f.judge(t) // what was said of it before is over
}

// Ten bad commits in a row: what was good stays, and boots.
func TestTenBad(t *testing.T) {
	f := &firmware{house: newHouse(t)}
	f.run(t, "1", called("one"))
	f.boot(t, "plain:1", "good")
	f.judge(t, "plain, generation 1, is good")
	for n := 2; n <= 11; n++ {
		f.run(t, "2", called(fmt.Sprintf("bad%d", n)))
		f.byItself(t, fmt.Sprintf("plain:%d", n), "plain:1")
		f.fails(t, fmt.Sprintf("plain:%d", n), "plain:1")
		f.byItself(t, "plain:1", "")
	}
	if got := len(f.doc(t).Images["plain"].Generations); got > 2 {
		t.Errorf("%d generations are on the stage, with keep = 1", got)
	}
	bad := 0
	for _, v := range f.doc(t).Verdicts {
		if v.State == boot.Bad {
			bad++
		}
	}
	if bad != 10 {
		t.Errorf("%d are known to be bad", bad)
	}
	for n := 2; n <= 11; n++ {
		if _, _, result := f.run(t, "3", called(fmt.Sprintf("bad%d", n))); len(result.Plan.Stagings) > 0 {
			t.Errorf("bad%d is staged again", n)
		}
	}
}

// What one image does is nothing to another.
func TestOneOfTwoIsBad(t *testing.T) {
	f := &firmware{house: newHouse(t)}
	f.run(t, "1", twoImages)
	f.byItself(t, "plain:1", "other:1") // of which nobody knows anything, either
	f.boot(t, "other:1", "good")        // by hand
	f.judge(t, "other, generation 1, is good")
	f.byItself(t, "plain:1", "other:1")
	f.fails(t, "plain:1", "other:1")
	f.byItself(t, "other:1", "")
	f.run(t, "2", strings.Replace(twoImages, `"one"`, `"two"`, 1))
	f.byItself(t, "plain:2", "other:1")
	f.boot(t, "plain:2", "good")
	f.judge(t, "plain, generation 2, is good")
	f.byItself(t, "plain:2", "other:1")
}

// In mode menu nothing is on trial, nor where menus wait for ever.
func TestNotOnTrial(t *testing.T) {
	f := &firmware{house: newHouse(t)}
	f.run(t, "1", strings.Replace(plainOnly, `mode = "managed"`, `mode = "menu"`, 1))
	if m := f.menu(t); len(f.doc(t).Verdicts) > 0 || strings.Contains(m, "gitboot.trying") {
		t.Errorf("%v\n%s", f.doc(t).Verdicts, m)
	}
	f.run(t, "2", strings.Replace(called("two"), `mode = "managed"`, `mode = "managed", timeout = -1`, 1))
	if m := f.menu(t); strings.Contains(m, "gitboot_count") || !strings.Contains(m, "gitboot.trying") {
		t.Error(m)
	}
	f.run(t, "3", strings.Replace(called("two"), `mode = "managed"`, `mode = "managed", tries = 7`, 1))
	if is := f.remembers(t); is.Left != 3 { // as many as it was given when it came
		t.Errorf("%+v", is)
	}
	f.run(t, "4", strings.Replace(called("three"), `mode = "managed"`, `mode = "managed", tries = 7`, 1))
	if is := f.remembers(t); is.Left != 7 {
		t.Errorf("%+v", is)
	}
}

// Each boot has a record, and the newest hundred stay.
func TestRecordsOfBoots(t *testing.T) {
	f := &firmware{house: newHouse(t)}
	f.run(t, "1", called("one"))
	for range maxBoots + 5 {
		f.boot(t, "", "-")
		f.judge(t)
	}
	boots, err := deployment.ReadBoots(f.Stage.Dir())
	if err != nil || len(boots) != maxBoots || boots[0].ID != f.BootID {
		t.Errorf("%d records, the newest of %s: %v", len(boots), boots[0].ID, err)
	}
	before, err := os.Stat(filepath.Join(f.Stage.Dir(), "state.json"))
	must(t, err)
	f.judge(t)
	f.run(t, "1", called("one"))
	if after, err := os.Stat(filepath.Join(f.Stage.Dir(), "state.json")); err != nil || !os.SameFile(before, after) {
		t.Error("it is written again within one boot", err)
	}
	var doc state.Machine
	if doc.Verdicts.State("none") != "" || doc.HowMany() != state.DefaultTries {
		t.Error("nothing is known of nothing")
	}
}

// A new machine may not choose what boots by itself where boots cannot be counted; one
// that runs so goes on, and is warned.
func TestManagedWhereNothingIsCounted(t *testing.T) {
	h := newHouse(t)
	need.Filesystem(t, h.Book.Folder, 128<<20, "defaults", "mkfs.btrfs", "-q")
	h.Book.Location.Type = "btrfs"
	refused := func(look func(context.Context, *wanted.Wanted, Request) error) {
		t.Helper()
		err := look(t.Context(), h.wants(t, "1", plainOnly), Request{})
		if err == nil || !strings.Contains(err.Error(), "GRUB cannot write to btrfs") || !strings.Contains(err.Error(), `declare boot.mode = "menu"`) {
			t.Errorf("it is not refused: %v", err)
		}
	}
	refused(func(ctx context.Context, w *wanted.Wanted, req Request) error {
		_, err := h.Look(ctx, w, req)
		return err
	})
	refused(func(ctx context.Context, w *wanted.Wanted, req Request) error {
		_, err := h.Run(ctx, w, req, nil)
		return err
	})
	h.run(t, "1", strings.Replace(plainOnly, `mode = "managed"`, `mode = "menu"`, 1))
	_, _, result := h.run(t, "2", called("two"))
	if len(result.Plan.Stagings) != 1 || !strings.Contains(strings.Join(result.Plan.Stagings[0].Warnings, "\n"), "are not counted") {
		t.Errorf("nothing is said of it: %+v", result.Plan.Stagings)
	}
}
