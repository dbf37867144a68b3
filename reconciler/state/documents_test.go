package state_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// newDir is a stage's folder, as far as documents need one.
func newDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(stage.Layout(dir).Workshop().Dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func loadMachine(t *testing.T, dir string) *state.Machine {
	t.Helper()
	m, err := state.LoadMachine(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func loadWorkshop(t *testing.T, dir string) *state.Workshop {
	t.Helper()
	w, err := state.LoadWorkshop(dir)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// A stage without documents has empty ones, and reading writes nothing.
func TestNoDocuments(t *testing.T) {
	dir := t.TempDir()
	if m := loadMachine(t, dir); m.Version != state.Version || len(m.Images) != 0 || m.AnyFailure() {
		t.Errorf("%+v", m)
	}
	if w := loadWorkshop(t, dir); w.Version != state.Version || len(w.Builds) != 0 || len(w.Stored()) != 0 {
		t.Errorf("%+v", w)
	}
	if runs, err := state.Runs(dir); err != nil || len(runs) != 0 {
		t.Errorf("%v %v", runs, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("reading has made %v %v", entries, err)
	}
}

func TestMachineIsKept(t *testing.T) {
	dir := newDir(t)
	m := loadMachine(t, dir)
	m.Machine, m.Revision, m.Order = "laptop", "abc", []string{"desktop"}
	img := m.Image("desktop")
	img.Origin = state.Origin{Declared: "d", Digest: "sha256:1", Checked: noon}
	img.Add(state.Generation{N: 1, Deployment: "one", Revision: "abc", Created: noon, Inputs: plan.Inputs{ImageDigest: "sha256:1"}})
	if err := m.Save(dir, nil); err != nil {
		t.Fatal(err)
	}
	again := loadMachine(t, dir)
	if diff := cmp.Diff(m, again); diff != "" {
		t.Error(diff)
	}
	before := stat(t, stage.Layout(dir).StateFile())
	if err := again.Save(dir, m); err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, stat(t, stage.Layout(dir).StateFile())) {
		t.Error("what is there already was written anew")
	}
	if before.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", before.Mode())
	}
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// A copy shares nothing with what it was made from.
func TestClones(t *testing.T) {
	m := &state.Machine{Version: 1, Images: map[string]*state.Image{"a": {Generations: []state.Generation{{N: 1}}}}}
	c, err := m.Clone()
	if err != nil {
		t.Fatal(err)
	}
	c.Image("a").RemoveNumber(1)
	c.Image("b").Failure = &state.Failure{Message: "x"}
	if len(m.Images) != 1 || len(m.Images["a"].Generations) != 1 || m.AnyFailure() || !c.AnyFailure() {
		t.Errorf("%+v", m)
	}
	w := &state.Workshop{Version: 1, Builds: map[string]*state.Build{"a": {ID: "1"}}}
	d, err := w.Clone()
	if err != nil {
		t.Fatal(err)
	}
	d.Builds["a"].ID = "2"
	if w.Builds["a"].ID != "1" || w.Same(d) {
		t.Errorf("%+v", w.Builds["a"])
	}
	got := w.Build("a")
	got.ID = "3"
	if w.Builds["a"].ID != "1" {
		t.Error("what Build gives is no copy")
	}
}

// What a document must not say is refused, with the way out.
func TestWrongDocuments(t *testing.T) {
	for what, c := range map[string]struct{ file, text, want string }{
		"no JSON":               {"state.json", "{", "move the file away"},
		"another version":       {"state.json", `{"version": 2}`, "use the gitboot that wrote it"},
		"no version":            {"state.json", `{}`, "has version 0"},
		"a null image":          {"state.json", `{"version": 1, "images": {"a": null}}`, `image "a" is null`},
		"an older null build":   {"state.json", `{"version": 1, "builds": {"a": null}}`, `build "a" is null`},
		"older builds, no JSON": {"state.json", `{"version": 1, "builds": []}`, "read the builds"},
		"no JSON of builds":     {"workshop/state.json", "{", "builds anew"},
		"another of builds":     {"workshop/state.json", `{"version": 7}`, "use the gitboot that wrote it"},
		"a null build":          {"workshop/state.json", `{"version": 1, "builds": {"a": null}}`, `build "a" is null`},
	} {
		dir := newDir(t)
		write(t, filepath.Join(dir, c.file), c.text)
		_, machine := state.LoadMachine(dir)
		_, workshop := state.LoadWorkshop(dir)
		if err := errors.Join(machine, workshop); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}

// An older gitboot kept builds with the machine. They are known until the
// workshop has its own document, whoever writes first.
func TestBuildsOfAnOlderGitboot(t *testing.T) {
	dir := newDir(t)
	const old = `{"version": 1, "revision": "r1", "builds": {"desktop": {"key": [{"name": "run", "hash": "h"}], "id": "i1", "digest": "d1", "layers": ["l1"],
		"push": {"ref": "registry/desktop:1", "digest": "p1"}, "failure": {"message": "no", "since": "2026-05-01T12:00:00Z", "attempts": 3, "next": "2026-05-01T13:00:00Z", "key": "k"}}}}`
	write(t, filepath.Join(dir, "state.json"), old)
	check := func(when string) {
		t.Helper()
		b := loadWorkshop(t, dir).Build("desktop")
		if b.ID != "i1" || b.Digest != "d1" || b.Push == nil || b.Push.Digest != "p1" || len(b.Key) != 1 || b.Failure.Attempts != 3 || b.Failure.Key != "k" {
			t.Errorf("%s: the build is %+v", when, b)
		}
	}
	check("at first")
	m := loadMachine(t, dir)
	m.Revision = "r2"
	if err := m.Save(dir, nil); err != nil {
		t.Fatal(err)
	}
	check("after the machine's run")
	w := loadWorkshop(t, dir)
	w.SetBuild("other", &state.Build{ID: "i2"})
	if err := w.Save(dir); err != nil {
		t.Fatal(err)
	}
	check("after the workshop's run")
	m.Revision = "r3"
	if err := m.Save(dir, nil); err != nil {
		t.Fatal(err)
	}
	check("after both")
	if m = loadMachine(t, dir); m.Builds != nil || m.Revision != "r3" {
		t.Errorf("the machine's document still has %s", m.Builds)
	}
	if got := loadWorkshop(t, dir).Stored(); len(got) != 4 {
		t.Errorf("stored: %q", got)
	}
}

// The builds of an older gitboot are no change of the machine.
func TestOlderBuildsAreNoChange(t *testing.T) {
	a, b := &state.Machine{Version: 1}, &state.Machine{Version: 1, Builds: json.RawMessage(`{}`)}
	if !a.Same(b) {
		t.Error("not the same")
	}
	b.Revision = "r"
	if a.Same(b) {
		t.Error("another revision is the same")
	}
}

func TestWorkshopIsKept(t *testing.T) {
	dir := newDir(t)
	w := loadWorkshop(t, dir)
	w.SetBuild("desktop", &state.Build{
		Key: recipe.Key{{Name: "run", Hash: "h"}}, ID: "i", Engine: "buildah", BaseID: "b", Digest: "d", Layers: []string{"l"}, Sizes: []int64{7}, Built: noon,
	})
	if err := w.Save(dir); err != nil {
		t.Fatal(err)
	}
	again := loadWorkshop(t, dir)
	if diff := cmp.Diff(w, again); diff != "" {
		t.Error(diff)
	}
	before := stat(t, stage.Layout(dir).Workshop().StateFile())
	if err := again.Save(dir); err != nil || !os.SameFile(before, stat(t, stage.Layout(dir).Workshop().StateFile())) {
		t.Errorf("what is there already was written anew: %v", err)
	}
}

func TestNewPackages(t *testing.T) {
	newest := &state.Generation{Deployment: "one"}
	known := &state.BuiltPackages{Digest: "d", Since: "one"}
	for what, c := range map[string]struct {
		build  *state.Build
		newest *state.Generation
		known  bool
	}{
		"compared with the newest": {&state.Build{Digest: "d", Packages: known}, newest, true},
		"of an older build":        {&state.Build{Digest: "e", Packages: known}, newest, false},
		"with another":             {&state.Build{Digest: "d", Packages: known}, &state.Generation{Deployment: "two"}, false},
		"nothing staged":           {&state.Build{Digest: "d", Packages: known}, nil, false},
		"not compared":             {&state.Build{Digest: "d"}, newest, false},
		"not built":                {nil, newest, false},
	} {
		w := &state.Workshop{Builds: map[string]*state.Build{}}
		if c.build != nil {
			w.Builds["a"] = c.build
		}
		if got := w.NewPackages("a", c.newest); (got != nil) != c.known {
			t.Errorf("%s: %v", what, got)
		}
	}
}
