package machine

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/tests/lab"
)

const nightly = `windows = [{ cron = "0 2 * * *", duration = "3h" }]
`

// Outside its windows a machine stages what takes time, and neither its menu nor
// what it says of itself is another. When one opens, nothing has to be fetched.
func TestWindows(t *testing.T) {
	h := newHouse(t)
	registry, err := lab.NewRegistry(t.TempDir())
	must(t, err)
	t.Cleanup(func() { _ = registry.Close() })
	push := func(archive string) string {
		_, digest, err := registry.Push(t.Context(), "desktop:1", nil, lab.Layer{Path: filepath.Join(h.dir, archive)})
		must(t, err)
		return digest
	}
	config := "[image.desktop]\npull = \"" + registry.Addr + "/desktop:1\"\ninsecure = true\nupdate = \"@hourly\"\nkeep = 1\n[machine.laptop]\nimages = [\"desktop\"]\n"
	push("plain.tar")
	h.run(t, "1", config)
	before, menu := h.doc(t), h.menu(t)

	second := push("other.tar")
	h.now = h.now.Add(time.Hour)
	w := h.wants(t, "2", config+nightly)
	result, err := h.Run(t.Context(), w, Request{Trigger: "test"}, nil)
	must(t, err)
	opens := spec.Windows(w.Wants.Windows, "laptop", time.UTC).Next(h.now)
	if !result.Plan.Held() || result.Changed || len(result.Failed) > 0 || !result.Plan.Holds[0].Until.Equal(opens) {
		t.Fatalf("%+v", result)
	}
	held := h.doc(t)
	if h.menu(t) != menu || held.Revision != before.Revision || len(held.Images["desktop"].Generations) != 1 || held.Images["desktop"].Origin.Digest != second {
		t.Errorf("%+v", held.Images["desktop"])
	}
	if held.Waiting == nil || held.Waiting.Revision != w.Revision.Hash || len(held.Waiting.Holds) != 1 {
		t.Errorf("it waits for %+v", held.Waiting)
	}

	// Until then nothing is asked of the registry, and nothing written.
	must(t, registry.Close())
	file := filepath.Join(h.Stage.Dir(), "state.json")
	written, err := os.Stat(file)
	must(t, err)
	runs, err := state.Runs(h.Stage.Dir())
	must(t, err)
	for _, at := range []time.Time{h.now.Add(time.Minute), h.now.Add(50 * time.Minute)} {
		h.now = at
		result, err = h.Run(t.Context(), w, Request{Trigger: "test"}, nil)
		must(t, err)
		if len(result.Failed) > 0 || len(result.Plan.MachineActions()) > 0 {
			t.Errorf("at %s: %v, to do %v", at, result.Failed, result.Plan.MachineActions())
		}
	}
	again, err := os.Stat(file)
	must(t, err)
	if more, err := state.Runs(h.Stage.Dir()); err != nil || !again.ModTime().Equal(written.ModTime()) || len(more) != len(runs) {
		t.Errorf("a run that waits writes: %d runs became %d, %v", len(runs), len(more), err)
	}

	// A window opens: all is here.
	pinned := strings.Replace(config, "update = \"@hourly\"\n", "", 1) // the registry is gone, and is not asked
	w = h.wants(t, "2", pinned+nightly)
	h.now = opens
	result, err = h.Run(t.Context(), w, Request{Trigger: "test"}, nil)
	must(t, err)
	after := h.doc(t)
	if !result.Changed || len(result.Failed) > 0 || after.Waiting != nil || after.Revision != w.Revision.Hash || h.menu(t) == menu {
		t.Fatalf("%+v, %+v", result, after)
	}
	if g := after.Images["desktop"]; g.Ready != nil || len(g.Generations) != 1 || g.Newest().Inputs.ImageDigest != second {
		t.Errorf("%+v", g)
	}
}

// Whoever does not want to wait does not have to; and before the clock is set no
// window is open.
func TestAnywayAndNoClock(t *testing.T) {
	h := newHouse(t)
	h.now = time.Date(1970, 1, 1, 2, 30, 0, 0, time.UTC)
	w := h.wants(t, "1", twoImages+nightly)
	result, err := h.Run(t.Context(), w, Request{Trigger: "test"}, nil)
	must(t, err)
	if !result.Plan.Held() || result.Plan.Holds[0].Why != "until the clock is set, since entries change only in windows" {
		t.Fatalf("%+v", result.Plan.Holds)
	}
	if _, err := os.Stat(filepath.Join(h.Stage.Dir(), "boot/gitboot.cfg")); !os.IsNotExist(err) {
		t.Errorf("a menu: %v", err)
	}
	result, err = h.Run(t.Context(), w, Request{Trigger: "test", Anyway: true}, nil)
	must(t, err)
	if !result.Changed || result.Plan.Held() || !strings.Contains(h.menu(t), "plain") {
		t.Errorf("%+v", result)
	}
	kinds := []plan.Kind{}
	for _, a := range result.Plan.MachineActions() {
		kinds = append(kinds, a.Kind)
	}
	if slices.Contains(kinds, plan.AddLayer) {
		t.Errorf("layers are staged twice: %v", kinds)
	}
}
