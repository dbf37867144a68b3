package state_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/rootfs/packages"
	"github.com/gitboot/gitboot/stage"
)

// A document that can be read by nobody is not replaced in silence by what is
// written anew: only a whole one is compared.
func TestADamagedDocumentIsWrittenOver(t *testing.T) {
	dir := newDir(t)
	m := loadMachine(t, dir)
	m.Revision = "r1"
	write(t, stage.Layout(dir).StateFile(), "{")
	if err := m.Save(dir, nil); err != nil || loadMachine(t, dir).Revision != "r1" {
		t.Error(err)
	}
	w := loadWorkshop(t, dir)
	write(t, stage.Layout(dir).Workshop().StateFile(), "{")
	if err := w.Save(dir); err != nil {
		t.Error(err)
	}
	loadWorkshop(t, dir)
}

// Where a document cannot be written, that is said with its name, and what was
// there before stays.
func TestNoPlaceToWrite(t *testing.T) {
	dir := t.TempDir() // without a folder for the workshop
	if err := (&state.Workshop{Version: state.Version, Failure: &state.Failure{}}).Save(dir); err == nil || !strings.HasPrefix(err.Error(), "write the workshop's state: ") {
		t.Error(err)
	}
	if err := (&state.Machine{Version: state.Version}).Save(filepath.Join(dir, "none"), loadMachine(t, filepath.Join(dir, "none"))); err != nil {
		t.Errorf("nothing has to be written, for nothing is known: %v", err)
	}
	if err := (&state.Machine{Version: state.Version, Revision: "r"}).Save(filepath.Join(dir, "none"), nil); err == nil || !strings.HasPrefix(err.Error(), "write state: ") {
		t.Error(err)
	}
	write(t, filepath.Join(dir, "runs"), "")
	if err := (state.Run{Began: noon}).Save(dir); err == nil || !strings.HasPrefix(err.Error(), "write the record of the run: ") {
		t.Error(err)
	}
	if _, err := state.Runs(dir); err == nil {
		t.Error("a file is a folder of records")
	}
	if err := os.Mkdir(stage.Layout(dir).StateFile(), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := state.LoadMachine(dir); err == nil || !strings.HasPrefix(err.Error(), "read state: ") {
		t.Error(err)
	}
	if _, err := state.LoadWorkshop(dir); err == nil {
		t.Error("what an older gitboot kept cannot be known")
	}
}

// All that a document can say comes back as it was, from the JSON that is stable.
func TestAllIsKept(t *testing.T) {
	timeout := 0
	failure := &state.Failure{Message: "no", Since: noon, Revision: "r", Tries: plan.Tries{Attempts: 2, Next: noon.Add(time.Minute), Key: "k"}}
	summary := packages.Summary{Count: packages.Count{}, First: []packages.Change{{}}}
	m := &state.Machine{
		Version: state.Version, Machine: "laptop", Revision: "r", Order: []string{"desktop"}, Mode: "managed", Timeout: &timeout, Default: "d", Failure: failure,
		Images: map[string]*state.Image{"desktop": {
			Origin:  state.Origin{Declared: "x", Digest: "sha256:d", Fingerprint: "f", Checked: noon},
			Failure: failure,
			Generations: []state.Generation{{N: 3, Deployment: "dd", Revision: "r", Created: noon, Imported: true, Packages: &summary, Inputs: plan.Inputs{
				ImageDigest: "sha256:d", Hooks: "h", FormerDisk: "f", Looked: 1, Init: "i", Kernel: "6.*", KernelArgs: []string{"quiet"}, TmpfsSize: "1g", CopyToRAM: true, Verity: "report",
				Health: &deployment.Health{After: "default", Deadline: 60, Required: &deployment.Checks{Commands: [][]string{{"true"}}}},
			}}},
		}},
	}
	dir := newDir(t)
	if err := m.Save(dir, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, loadMachine(t, dir)); diff != "" {
		t.Error(diff)
	}
	w := &state.Workshop{Version: state.Version, Failure: failure, Builds: map[string]*state.Build{"desktop": {
		ID: "i", BaseID: "b", BaseDigest: "bd", BaseBlobs: map[string]image.Blob{"l": {MediaType: "m", Digest: "d", Size: 1, Repository: "r"}},
		Named: map[string]state.Origin{"r.lan/x:1": {Digest: "n"}}, Epoch: noon, Built: noon, Revision: "r", Config: "c", Made: state.Made{Time: noon, Revision: "r"},
		Push:    &state.Push{Ref: "r.lan/d:1", Key: "k", Digest: "p", Tag: "t", Time: noon, Blobs: map[string]image.Blob{"l": {}}, Failure: failure},
		Failure: failure, Packages: &state.BuiltPackages{Digest: "d", Since: "dd", Summary: summary},
	}}}
	if err := w.Save(dir); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w, loadWorkshop(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// What an older gitboot wrote is read as what it was: what came later is absent.
func TestOlderDocuments(t *testing.T) {
	dir := newDir(t)
	write(t, stage.Layout(dir).StateFile(), `{"version": 1, "machine": "laptop", "revision": "r", "images": {"desktop": {
		"source": {"declared": "x", "digest": "sha256:d"},
		"generations": [{"n": 1, "deployment": "dd", "revision": "r", "created": "2026-05-01T12:00:00Z", "inputs": {"imageDigest": "sha256:d", "hooks": "h", "init": "i", "unknown": 1}}]}},
		"tried": 3, "failure": {"message": "no", "since": "2026-05-01T12:00:00Z"}}`)
	m := loadMachine(t, dir)
	g := m.Images["desktop"].Newest()
	if g == nil || g.N != 1 || !g.Created.Equal(noon) || g.Imported || g.Packages != nil || g.Inputs.Looked != 0 || m.Images["desktop"].Origin.Digest != "sha256:d" {
		t.Errorf("%+v", g)
	}
	if m.Failure.Attempts != 0 || m.Failure.Rest(noon) || m.Timeout != nil {
		t.Errorf("%+v", m.Failure)
	}
	// Read and written again it is the same but for what it never knew.
	before := stat(t, stage.Layout(dir).StateFile())
	if err := m.Save(dir, loadMachine(t, dir)); err != nil || !os.SameFile(before, stat(t, stage.Layout(dir).StateFile())) {
		t.Errorf("nothing has changed, and it is written: %v", err)
	}
}

// Times and counts that nobody has set are not in the JSON.
func TestNothingIsAbsent(t *testing.T) {
	for want, doc := range map[string]any{
		`{"version":1}`:                                  &state.Machine{Version: 1},
		`{"version":1,"builds":{"a":{}}}`:                &state.Workshop{Version: 1, Builds: map[string]*state.Build{"a": {}}},
		`{"message":"x","since":"2026-05-01T12:00:00Z"}`: &state.Failure{Message: "x", Since: noon},
		`{"source":{}}`:                                  &state.Image{},
		`{"kind":"write-menu","reason":"x","began":"2026-05-01T12:00:00Z"}`: state.Step{Action: plan.Action{Kind: plan.WriteMenu, Reason: "x"}, Began: noon},
	} {
		got, err := json.Marshal(doc)
		if compact := strings.Replace(string(got), `,"made":{"time":"0001-01-01T00:00:00Z","revision":""}`, "", 1); err != nil || compact != want {
			t.Errorf("%s %v, want %s", got, err, want)
		}
	}
}

// Two parts may keep their records at once, and what was begun first is older.
func TestRunsOfBothParts(t *testing.T) {
	dir := newDir(t)
	saved := make(chan error)
	for _, part := range []string{"machine", "workshop"} {
		go func() {
			var err error
			for n := range 20 {
				err = errors.Join(err, state.Run{Part: part, Revision: fmt.Sprint(n), Began: noon.Add(time.Duration(n) * time.Nanosecond)}.Save(dir))
			}
			saved <- err
		}()
	}
	if err := errors.Join(<-saved, <-saved); err != nil {
		t.Fatal(err)
	}
	runs, err := state.Runs(dir)
	if err != nil || len(runs) != 40 {
		t.Fatalf("%d %v", len(runs), err)
	}
	if !slices.IsSortedFunc(runs, func(a, b state.Run) int { return b.Began.Compare(a.Began) }) {
		t.Error("they are not in order")
	}
	names, err := filepath.Glob(filepath.Join(dir, "runs/*"))
	if err != nil || filepath.Base(names[0]) != "20260501T120000.000000000Z-machine.json" || stat(t, names[0]).Mode().Perm() != 0o600 {
		t.Errorf("%q %v", names[0], err)
	}
}

// What somebody else wrote into an error does not fill a record, nor a terminal.
func TestWhatIsToldIsBounded(t *testing.T) {
	r := state.Run{}
	r.Fail(map[string]error{"a": errors.New(strings.Repeat("x", 5000)), "b": errors.New("\x1b]0;title\x07\nsecond\n")}, errors.New(strings.Repeat("line\n", 500)))
	if n := len(r.Failed["a"]); n > 600 {
		t.Errorf("%d bytes are kept of a line", n)
	}
	if strings.ContainsAny(r.Failed["b"], "\x1b\x07") || !strings.Contains(r.Failed["b"], "\nsecond") {
		t.Errorf("%q", r.Failed["b"])
	}
	if n := strings.Count(r.Error, "\n"); n != 8 || !strings.HasSuffix(r.Error, "… and 493 lines more") {
		t.Errorf("%d lines are kept: %q", n, r.Error)
	}
	none := state.Run{}
	if none.Fail(nil, nil); none.Failed != nil || none.Error != "" {
		t.Errorf("%+v", none)
	}
}

// What there is none of is said with what there is, and what to do.
func TestNameError(t *testing.T) {
	for want, e := range map[string]*state.NameError{
		`there is no image "x"`: {None: "there is no image", Name: "x"},
		`there is no image "a\x1b"; choose one of: desktop, kiosk`:                           {None: "there is no image", Name: "a\x1b", Known: []string{"desktop", "kiosk"}},
		`there is no image "kisk" (did you mean "kiosk"?); choose one of: kiosk; declare it`: {None: "there is no image", Name: "kisk", Known: []string{"kiosk"}, Remedy: "declare it"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
