package machine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// A house is a machine, and what a config repo has for it.
type house struct {
	*Machine
	dir   string
	files fstest.MapFS
	now   time.Time
}

// newHouse makes one whose images are archives: plain.tar, and other.tar, which
// has a file more.
func newHouse(t *testing.T) *house {
	t.Helper()
	return newHouseAt(t, filepath.Join(t.TempDir(), "stage"))
}

func newHouseAt(t *testing.T, stageDir string) *house {
	t.Helper()
	need.Programs(t, "tar2sqfs", "tar")
	dir := t.TempDir()
	h := &house{dir: dir, files: fstest.MapFS{}, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	root := filepath.Join(dir, "root")
	must(t, lab.FakeKernel(root, "6.1.0-test", true))
	h.archive(t, "plain.tar", root)
	must(t, os.WriteFile(filepath.Join(root, "more"), []byte("more"), 0o644))
	h.archive(t, "other.tar", root)
	must(t, os.MkdirAll(filepath.Join(dir, "grub"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "grub/grub.cfg"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "init"), []byte("init"), 0o755))
	st, err := stage.Create(stageDir)
	must(t, err)
	st.Log = slog.New(slog.DiscardHandler)
	clock := func() time.Time { return h.now }
	h.Machine = &Machine{
		Name: "laptop", Stage: st, Find: origin.Finder{Now: clock}, Init: filepath.Join(dir, "init"), Log: st.Log, Now: clock,
		Book: menu.Book{Stage: st, Place: st.Dir(), Folder: filepath.Join(dir, "grub"), Location: &boot.Filesystem{UUID: "1111-2222", Path: "/gitboot"}, Log: st.Log},
	}
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) archive(t *testing.T, name, root string) {
	t.Helper()
	_, err := lab.Run(t.Context(), "tar", "--sort=name", "--owner=0", "--group=0", "--mtime=@1000000000", "-C", root, "-cf", filepath.Join(h.dir, name), ".")
	must(t, err)
	data, err := os.ReadFile(filepath.Join(h.dir, name))
	must(t, err)
	h.files[name] = &fstest.MapFile{Data: data}
}

// wants is what a revision with a config wants.
func (h *house) wants(t *testing.T, revision, config string) *wanted.Wanted {
	t.Helper()
	h.files["gitboot.toml"] = &fstest.MapFile{Data: []byte(config)}
	fleet, err := spec.Load(t.Context(), h.files)
	must(t, err)
	wants, err := fleet.Resolve(t.Context(), "laptop")
	must(t, err)
	return &wanted.Wanted{Revision: source.Revision{Hash: strings.Repeat(revision, 40)}, Wants: wants, Files: h.files}
}

// wantsOf is that with a file which is in the repo only when it is read.
func (h *house) wantsOf(t *testing.T, revision, config, file string) *wanted.Wanted {
	t.Helper()
	h.files[file] = &fstest.MapFile{Data: []byte("no tar")}
	defer delete(h.files, file)
	return h.wants(t, revision, config)
}

// serve gives one of the archives out by HTTP.
func (h *house) serve(t *testing.T, name string) (url, sha256sum string) {
	t.Helper()
	now := make(chan struct{})
	close(now)
	return h.serveLate(t, name, now)
}

// serveLate gives it out when it is let go.
func (h *house) serveLate(t *testing.T, name string, let <-chan struct{}) (url, sha256sum string) {
	t.Helper()
	data := h.files[name].Data
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-let:
			_, _ = w.Write(data)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/" + name, fmt.Sprintf("%x", sha256.Sum256(data))
}

// run makes a run that must not fail, and gives what it printed before and what
// it did.
func (h *house) run(t *testing.T, revision, config string) (printed, done []plan.Action, result Result) {
	t.Helper()
	w := h.wants(t, revision, config)
	j, err := h.Look(t.Context(), w, Request{})
	must(t, err)
	p, err := j.Plan(t.Context())
	must(t, err)
	before, err := state.Runs(h.Stage.Dir())
	must(t, err)
	h.now = h.now.Add(time.Minute)
	result, err = h.Run(t.Context(), w, Request{Trigger: "test"}, nil)
	must(t, err)
	if !result.State.Same(h.doc(t)) {
		t.Errorf("what the run hands on is not what was written: %s", cmp.Diff(result.State, h.doc(t)))
	}
	after, err := state.Runs(h.Stage.Dir())
	must(t, err)
	if len(after) > len(before) {
		for _, step := range after[0].Steps {
			done = append(done, step.Action)
		}
	}
	return p.MachineActions(), done, result
}

func (h *house) doc(t *testing.T) *state.Machine {
	t.Helper()
	doc, err := state.LoadMachine(h.Stage.Dir())
	must(t, err)
	return doc
}

func (h *house) menu(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.Stage.Dir(), "boot/gitboot.cfg"))
	must(t, err)
	return string(text)
}

const twoImages = `
[image.plain]
archive = "./plain.tar"
keep = 1
[image.other]
archive = "./other.tar"
[hook.name.hostname]
name = "one"
[machine.laptop]
images = ["plain", "other"]
hooks = ["name"]
boot = { mode = "managed" }
`

// What a plan prints is what a run does, in that order, whatever there is to do.
func TestPrintedIsDone(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct{ what, revision, config, kinds string }{
		{"the first run", "1", twoImages, "add-layer add-layer add-deployment add-deployment record-revision write-menu link-menu"},
		{"nothing", "1", twoImages, ""},
		{"another revision of the same", "2", twoImages, ""},
		{"a hook", "3", strings.Replace(twoImages, `"one"`, `"two"`, 1), "add-deployment add-deployment record-revision write-menu remove-deployment"},
		{"an image goes", "4", strings.Replace(twoImages, `images = ["plain", "other"]`, `images = ["plain"]`, 1), "add-deployment record-revision write-menu remove-deployment remove-deployment remove-deployment"},
		{"another image", "5", strings.Replace(twoImages, "./plain.tar", "./other.tar", 1), "add-layer add-deployment add-deployment record-revision write-menu remove-deployment"},
	} {
		printed, done, result := h.run(t, c.revision, c.config)
		if len(result.Failed) > 0 {
			t.Fatalf("%s: failed %v", c.what, result.Failed)
		}
		if c.kinds == "" {
			if len(done) > 0 || result.Changed {
				t.Errorf("%s: done %v", c.what, done)
			}
			continue
		}
		if diff := cmp.Diff(printed, done); diff != "" {
			t.Errorf("%s: printed and done differ (-printed +done):\n%s", c.what, diff)
		}
		var kinds []string
		for _, act := range done {
			kinds = append(kinds, string(act.Kind))
		}
		if got := strings.Join(kinds, " "); got != c.kinds || !result.Changed {
			t.Errorf("%s: done %s, changed is %t", c.what, got, result.Changed)
		}
	}
}

// A list in another order than that of the steps is not half executed in
// silence.
func TestWalkTakesAll(t *testing.T) {
	var done []string
	note := func(_ context.Context, list []plan.Action) error {
		for _, act := range list {
			done = append(done, string(act.Kind))
		}
		return nil
	}
	steps := []step{{"layers", plan.AddLayer, note}, {"settle", "", note}, {"menu", plan.WriteMenu, note}}
	list := []plan.Action{{Kind: plan.AddLayer}, {Kind: plan.AddLayer}, {Kind: plan.WriteMenu}}
	if err := walk(t.Context(), steps, list); err != nil || len(done) != 3 {
		t.Errorf("%v %v", done, err)
	}
	slices.Reverse(list)
	if err := walk(t.Context(), steps, list); err == nil || !strings.Contains(err.Error(), `"add-layer" where no step is for it`) {
		t.Error(err)
	}
	broken := errors.New("broken")
	steps[1].do = func(context.Context, []plan.Action) error { return broken }
	if err := walk(t.Context(), steps, nil); !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "settle: ") {
		t.Error(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := walk(ended, steps, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A run with nothing to do takes no lock, and writes nothing.
func TestNothingToDo(t *testing.T) {
	h := newHouse(t)
	h.run(t, "1", twoImages)
	lock, err := h.Stage.Lock(t.Context(), false)
	must(t, err)
	result, err := h.Run(t.Context(), h.wants(t, "1", twoImages), Request{}, nil)
	if err != nil || result.Changed || len(result.Failed) > 0 {
		t.Errorf("%+v %v", result, err)
	}
	// Something to do needs it.
	_, err = h.Run(t.Context(), h.wants(t, "2", strings.Replace(twoImages, "one", "two", 1)), Request{}, nil)
	if !errors.Is(err, stage.ErrLocked) {
		t.Error(err)
	}
	must(t, lock.Release())
}

// An image that fails stays as it is, and the other converges.
func TestAnImageFails(t *testing.T) {
	h := newHouse(t)
	h.run(t, "1", twoImages)
	h.files["broken.tar"] = &fstest.MapFile{Data: bytes.Repeat([]byte("no tar"), 1000)}
	broken := strings.NewReplacer("./other.tar", "./broken.tar", `"one"`, `"two"`).Replace(twoImages)
	_, _, result := h.run(t, "2", broken)
	doc := h.doc(t)
	if result.Failed["other"] == nil || len(result.Failed) != 1 || !result.Changed {
		t.Errorf("%+v", result)
	}
	if f := doc.Images["other"].Failure; f == nil || doc.Images["other"].Newest().N != 1 || doc.Images["plain"].Newest().N != 2 {
		t.Errorf("failure %+v", f)
	}
	if m := h.menu(t); !strings.Contains(m, "plain, generation 2") || !strings.Contains(m, "other, generation 1") {
		t.Error(m)
	}
	// It stands, and is written once.
	if _, done, result := h.run(t, "2", broken); len(done) > 0 || result.Changed || result.Failed["other"] == nil {
		t.Errorf("%v %+v", done, result)
	}
	if _, _, result := h.run(t, "3", twoImages); len(result.Failed) > 0 || h.doc(t).Images["other"].Failure != nil {
		t.Errorf("mended: %+v", result)
	}
}

// An image that the workshop has not made yet is nobody's failure, and holds up
// nothing.
func TestAnImageIsNotBuiltYet(t *testing.T) {
	h := newHouse(t)
	config := strings.Replace(twoImages, "[image.other]\narchive = \"./other.tar\"", "[image.other.build]\nfrom = \"archive:other.tar\"\nrun = [\"true\"]", 1)
	_, _, result := h.run(t, "1", config)
	if err := result.Failed["other"]; !errors.As(err, new(*PendingError)) || len(result.Failed) != 1 {
		t.Errorf("failed: %v", result.Failed)
	}
	if img := h.doc(t).Images["other"]; img != nil && img.Failure != nil {
		t.Errorf("failure %+v", img.Failure)
	}
	if m := h.menu(t); !strings.Contains(m, "plain, generation 1") || strings.Contains(m, "other") {
		t.Error(m)
	}
	// Looking ahead of a build, it is to come.
	j, err := h.Look(t.Context(), h.wants(t, "1", config), Request{Builds: func(name string) bool { return name == "other" }})
	must(t, err)
	if p, err := j.Plan(t.Context()); err != nil || len(p.Stagings) != 1 || p.Stagings[0].Image != "other" || len(p.Failed) > 0 {
		t.Errorf("%+v %v", p, err)
	}
	// One whose build has failed says why.
	made := &state.Workshop{Version: state.Version}
	made.SetBuild("other", &state.Build{Failure: &state.Failure{Message: "step 1 failed"}})
	must(t, os.MkdirAll(h.Stage.Workshop().Dir(), 0o700))
	must(t, made.Save(h.Stage.Dir()))
	if _, _, result := h.run(t, "1", config); result.Failed["other"] == nil || result.Failed["other"].Error() != "step 1 failed" {
		t.Errorf("failed: %v", result.Failed)
	}
}

// Between a look and the lock another run may have been there.
func TestRefresh(t *testing.T) {
	h := newHouse(t)
	w := h.wants(t, "1", twoImages)
	j, err := h.Look(t.Context(), w, Request{})
	must(t, err)
	if same, err := j.refresh(t.Context()); err != nil || same != j {
		t.Errorf("looked again for nothing: %v", err)
	}
	h.run(t, "1", twoImages)
	again, err := j.refresh(t.Context())
	if err != nil || again == j || !again.Settled() || j.Settled() {
		t.Errorf("not looked again: %v", err)
	}
}

// Why a run failed is kept once, and not for what is nobody's failure.
func TestNoteFailure(t *testing.T) {
	h := newHouse(t)
	kept := func() *state.Failure { return h.doc(t).Failure }
	ended, end := context.WithCancel(t.Context())
	end()
	must(t, h.NoteFailure(t.Context(), "r1", nil))
	must(t, h.NoteFailure(ended, "r1", errors.New("interrupted")))
	must(t, h.NoteFailure(t.Context(), "r1", stage.ErrLocked))
	if f := kept(); f != nil {
		t.Fatalf("%+v", f)
	}
	must(t, h.NoteFailure(t.Context(), "r1", errors.New("no network")))
	first := kept()
	if first == nil || first.Message != "no network" || first.Revision != "r1" {
		t.Fatalf("%+v", first)
	}
	h.now = h.now.Add(time.Hour)
	must(t, h.NoteFailure(t.Context(), "r1", errors.New("no network")))
	if again := kept(); !again.Since.Equal(first.Since) {
		t.Errorf("%+v", again)
	}
	if _, _, result := h.run(t, "1", twoImages); len(result.Failed) > 0 || kept() != nil {
		t.Errorf("a run that came to its end leaves %+v", kept())
	}
}

func TestSetDefault(t *testing.T) {
	h := newHouse(t)
	h.run(t, "1", twoImages)
	found, err := h.SetDefault(t.Context(), "other", false)
	must(t, err)
	chosen := boot.EntryID("other", found.Deployment)
	if h.doc(t).Default != chosen || !strings.Contains(h.menu(t), `set default="`+chosen+`"`) && !strings.Contains(h.menu(t), "default='"+chosen+"'") {
		t.Errorf("chosen is %s:\n%s", chosen, h.menu(t))
	}
	// It is protected, and stays the default when newer ones come.
	if _, err := h.Machine.Remove(t.Context(), "other", false); err == nil || !strings.Contains(err.Error(), "chosen default") {
		t.Error(err)
	}
	h.run(t, "2", strings.NewReplacer(`"one"`, `"two"`, `images = ["plain", "other"]`, `images = ["plain"]`).Replace(twoImages))
	if h.doc(t).Images["other"] == nil || !strings.Contains(h.menu(t), chosen) {
		t.Error("the chosen default is gone")
	}
	if _, err := h.SetDefault(t.Context(), "nothing", false); !errors.As(err, new(*state.NameError)) {
		t.Error(err)
	}
	if _, err := h.SetDefault(t.Context(), "", false); err != nil || h.doc(t).Default != "" {
		t.Errorf("%q %v", h.doc(t).Default, err)
	}
	h.run(t, "3", strings.Replace(twoImages, `boot = { mode = "managed" }`, "", 1))
	if _, err := h.SetDefault(t.Context(), "plain", false); err == nil || !strings.Contains(err.Error(), "managed") {
		t.Error(err)
	}
}

// A deployment goes out as a file, and comes in on another machine.
func TestExportAndImport(t *testing.T) {
	from, to := newHouse(t), newHouse(t)
	from.run(t, "1", twoImages)
	var file bytes.Buffer
	must(t, from.Export(t.Context(), "plain", &file))
	found, err := to.Import(t.Context(), bytes.NewReader(file.Bytes()), false)
	must(t, err)
	if found.Image != "plain" || found.N != 1 || !found.Imported || found.Deployment != from.doc(t).Images["plain"].Newest().Deployment {
		t.Errorf("%+v", found)
	}
	if !strings.Contains(to.menu(t), "plain, generation 1") {
		t.Error(to.menu(t))
	}
	again, err := to.Import(t.Context(), bytes.NewReader(file.Bytes()), false)
	if err != nil || again.N != 1 || len(to.doc(t).Images["plain"].Generations) != 1 {
		t.Errorf("%+v %v", again, err)
	}
	// What was imported stays, whatever the config repo wants.
	to.run(t, "1", strings.Replace(twoImages, `images = ["plain", "other"]`, `images = ["other"]`, 1))
	if to.doc(t).Images["plain"] == nil {
		t.Error("it is gone")
	}
	if _, err := to.Machine.Remove(t.Context(), "plain", false); err != nil || to.doc(t).Images["plain"] != nil || strings.Contains(to.menu(t), "plain") {
		t.Errorf("%v\n%s", err, to.menu(t))
	}
	if _, err := to.Import(t.Context(), strings.NewReader("no file of ours"), false); err == nil {
		t.Error("it takes anything")
	}
}

// What runs is not removed.
func TestRemoveWhatRuns(t *testing.T) {
	h := newHouse(t)
	h.run(t, "1", twoImages)
	h.Book.Booted = h.doc(t).Images["other"].Newest().Deployment
	if _, err := h.Machine.Remove(t.Context(), "other", false); err == nil || !strings.Contains(err.Error(), "it is running") {
		t.Error(err)
	}
}

// Hooks are rendered onto what is staged, and nothing is staged by it.
func TestHooks(t *testing.T) {
	h := newHouse(t)
	w := h.wants(t, "1", twoImages)
	var before bytes.Buffer
	if _, _, err := h.Hooks(t.Context(), w.Wants.Images[0], false, &before); err != nil || !bytes.Contains(before.Bytes(), []byte("etc/hostname")) {
		t.Error(err)
	}
	h.run(t, "1", twoImages)
	var after bytes.Buffer
	diffID, _, err := h.Hooks(t.Context(), w.Wants.Images[0], false, &after)
	if err != nil || diffID == "" || !bytes.Contains(after.Bytes(), []byte("etc/hostname")) {
		t.Error(err)
	}
	if n := len(h.doc(t).Images["plain"].Generations); n != 1 {
		t.Errorf("%d generations", n)
	}
}

// Garbage is left to lie a while only where nothing is packed, and something is fetched.
func TestStreams(t *testing.T) {
	staged, made := plan.Layer{Staged: true}, plan.Layer{Made: true}
	for what, c := range map[string]struct {
		layers []plan.Layer
		want   bool
	}{
		"nothing lacks":       {[]plan.Layer{staged}, false},
		"all is ready-made":   {[]plan.Layer{staged, made}, true},
		"one is packed":       {[]plan.Layer{made, {}}, false},
		"one is put together": {[]plan.Layer{made, {Made: true, Whole: 7}}, false},
	} {
		if got := streams([]plan.Staging{{}, {Layers: c.layers}}); got != c.want {
			t.Errorf("%s: %t", what, got)
		}
	}
}

// Garbage is collected as before when a run has ended, however many layers it packed, and
// as who runs it has said if he has.
func TestCollector(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(70))
	for said, want := range map[string]int{"": 50, "70": 70} {
		t.Setenv("GOGC", said)
		var c collector
		c.asUsual()
		c.often()
		c.often()
		packing := debug.SetGCPercent(70)
		debug.SetGCPercent(packing)
		c.asUsual()
		if after := debug.SetGCPercent(70); packing != want || after != 70 {
			t.Errorf("GOGC=%s: %d, then %d", said, packing, after)
		}
	}
}
