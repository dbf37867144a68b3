package machine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage/damage"
	"github.com/gitboot/gitboot/tests/need"
)

const oneImage = `
[image.plain]
archive = "./plain.tar"
keep = 2
[hook.name.hostname]
name = "one"
[machine.laptop]
images = ["plain"]
hooks = ["name"]
boot = { mode = "managed" }
`

// named is the config with another host name: a new generation of the same image.
func named(name string) string { return strings.Replace(oneImage, `"one"`, `"`+name+`"`, 1) }

func (h *house) numbers(t *testing.T, image string) (out []int) {
	t.Helper()
	img := h.doc(t).Images[image]
	if img == nil {
		return nil
	}
	for _, g := range img.Generations {
		out = append(out, g.N)
	}
	return out
}

// kinds are those of actions, in their order.
func kinds(list []plan.Action) string {
	var out []string
	for _, act := range list {
		out = append(out, string(act.Kind))
	}
	return strings.Join(out, " ")
}

// on is how many deployments are on the stage.
func (h *house) on(t *testing.T) int {
	t.Helper()
	ids, err := h.Stage.Deployments()
	must(t, err)
	return len(ids)
}

func (h *house) object(o deployment.Object) string { return h.Stage.ObjectPath(o) }

// manifest is that of an image's n-th generation.
func (h *house) manifest(t *testing.T, image string, n int) *deployment.Manifest {
	t.Helper()
	for _, g := range h.doc(t).Images[image].Generations {
		if g.N == n {
			m, err := h.Stage.Deployment(g.Deployment)
			must(t, err)
			return m
		}
	}
	t.Fatalf("%s has no generation %d", image, n)
	return nil
}

// So many generations stay as keep says, and besides them those that run, were
// chosen or imported.
func TestGenerationsStay(t *testing.T) {
	for what, c := range map[string]struct {
		protect func(*house, *testing.T)
		want    []int
	}{
		"keep alone":      {func(*house, *testing.T) {}, []int{3, 4}},
		"the first runs":  {func(h *house, t *testing.T) { h.Book.Booted = h.doc(t).Images["plain"].Newest().Deployment }, []int{1, 4}},
		"it was chosen":   {func(h *house, t *testing.T) { _, err := h.SetDefault(t.Context(), "plain:1", false); must(t, err) }, []int{1, 4}},
		"it was imported": {func(h *house, t *testing.T) { h.edit(t, func(g *state.Generation) { g.Imported = true }) }, []int{1, 4}},
	} {
		h := newHouse(t)
		h.run(t, "1", oneImage)
		c.protect(h, t)
		for i, name := range []string{"two", "three", "four"} {
			h.run(t, string(rune('2'+i)), named(name))
		}
		if diff := cmp.Diff(c.want, h.numbers(t, "plain")); diff != "" || h.on(t) != len(c.want) {
			t.Errorf("%s: %d on the stage, %s", what, h.on(t), diff)
		}
		for _, n := range []string{"generation 2 ", "generation 4 "} {
			if shown := strings.Contains(h.menu(t), n); shown != (n == "generation 4 ") {
				t.Errorf("%s: %sis shown: %t", what, n, shown)
			}
		}
	}
}

// edit changes the newest generation of plain in the document.
func (h *house) edit(t *testing.T, change func(*state.Generation)) {
	t.Helper()
	doc := h.doc(t)
	change(doc.Images["plain"].Newest())
	must(t, doc.Save(h.Stage.Dir(), nil))
}

// What has come to harm on the stage is made again, and what cannot boot goes.
func TestDamage(t *testing.T) {
	for what, c := range map[string]struct {
		harm   func(*house, *testing.T)
		reason string
		kinds  string
		want   []int
	}{
		"a layer is gone": {func(h *house, t *testing.T) { must(t, os.Remove(h.object(h.manifest(t, "plain", 1).Layers[0]))) },
			"generation 1 lacks object ", "notice-drift add-layer add-deployment record-revision write-menu", []int{2}},
		"a layer is short": {func(h *house, t *testing.T) {
			must(t, os.Truncate(h.object(h.manifest(t, "plain", 1).Layers[0]), 10))
		}, "generation 1 lacks object ", "notice-drift add-layer add-deployment record-revision write-menu", []int{2}},
		"the kernel is gone": {func(h *house, t *testing.T) { must(t, os.Remove(h.object(h.manifest(t, "plain", 1).Kernel))) },
			"generation 1 lacks object ", "notice-drift add-deployment record-revision write-menu", []int{2}},
		"the manifest is gone": {func(h *house, t *testing.T) {
			must(t, h.Stage.RemoveDeployment(h.doc(t).Images["plain"].Newest().Deployment))
		}, "generation 1 has no readable manifest", "notice-drift add-deployment record-revision write-menu remove-deployment collect-garbage", []int{2}},
	} {
		h := newHouse(t)
		h.run(t, "1", oneImage)
		c.harm(h, t)
		printed, done, result := h.run(t, "2", oneImage)
		if len(result.Failed) > 0 || kinds(printed) != c.kinds {
			t.Errorf("%s: printed %s, failed %v", what, kinds(printed), result.Failed)
		}
		if !strings.Contains(result.Plan.Stagings[0].Reasons[0], c.reason) {
			t.Errorf("%s: %q", what, result.Plan.Stagings[0].Reasons)
		}
		if d := h.doc(t).Drift; len(d) != 1 || d[0].Image != "plain" || d[0].Mended.IsZero() || !strings.Contains(printed[0].Reason, d[0].How) {
			t.Errorf("%s: told is %+v", what, d)
		}
		if diff := cmp.Diff(c.want, h.numbers(t, "plain")); diff != "" || len(done) == 0 {
			t.Errorf("%s: %s", what, diff)
		}
		if found, err := damage.Find(t.Context(), h.Stage, 0, nil); err != nil || len(found) > 0 {
			t.Errorf("%s: the stage has %v: %v", what, found, err)
		}
		if again, _, result := h.run(t, "2", oneImage); len(again) > 0 || result.Changed {
			t.Errorf("%s: the next run has %s", what, kinds(again))
		}
	}
}

// What a cut run left is removed: deployments that nothing names, and objects that
// nothing reaches. It stays as long as an image fails, or is not built yet, whose
// next try may need it; and no run is made for it.
func TestLeavings(t *testing.T) {
	stray := func(h *house) deployment.Object {
		o, err := h.Stage.AddFile(t.Context(), strings.NewReader("stray"))
		must(t, err)
		return o
	}
	h := newHouse(t)
	h.run(t, "1", oneImage)
	left := stray(h)
	printed, done, result := h.run(t, "1", oneImage)
	if diff := cmp.Diff(printed, done); diff != "" || kinds(done) != "collect-garbage" || printed[0].Bytes != left.Size || !result.Changed {
		t.Errorf("%s\n%s", kinds(printed), diff)
	}
	if _, err := os.Stat(h.object(left)); err == nil {
		t.Error("garbage stays")
	}

	m := h.manifest(t, "plain", 1)
	m.KernelArgs = []string{"stray"}
	id, err := h.Stage.Publish(m)
	must(t, err)
	h.Book.Booted = id
	if printed, _, _ := h.run(t, "1", oneImage); len(printed) > 0 {
		t.Errorf("what runs is stray: %s", kinds(printed))
	}
	h.Book.Booted = ""
	printed, done, _ = h.run(t, "1", oneImage)
	if diff := cmp.Diff(printed, done); diff != "" || kinds(done) != "write-menu remove-deployment" || h.on(t) != 1 {
		t.Errorf("%s\n%s", kinds(printed), diff)
	}

	for what, image := range map[string]string{
		"an image that fails":      "[image.other]\narchive = \"./lacks.tar\"\n",
		"an image that is to come": "[image.other.build]\nfrom = \"archive:plain.tar\"\nrun = [\"true\"]\n",
	} {
		h := newHouse(t)
		config := strings.Replace(oneImage, `images = ["plain"]`, `images = ["plain", "other"]`, 1) + image
		h.run(t, "1", oneImage)
		left := stray(h)
		w := h.wantsOf(t, "1", config, "lacks.tar")
		for range 2 {
			j, err := h.Look(t.Context(), w, Request{})
			must(t, err)
			p, err := j.Plan(t.Context())
			if err != nil || strings.Contains(kinds(p.Actions()), "collect") {
				t.Errorf("%s: %s: %v", what, kinds(p.Actions()), err)
			}
			result, err := h.Run(t.Context(), w, Request{}, nil)
			if err != nil || len(result.Failed) != 1 {
				t.Errorf("%s: %+v %v", what, result, err)
			}
		}
		if _, err := os.Stat(h.object(left)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		lock, err := h.Stage.Lock(t.Context(), false) // a run that needed it would fail
		must(t, err)
		if result, err := h.Run(t.Context(), w, Request{}, nil); err != nil || result.Changed {
			t.Errorf("%s: a run is made for nothing: %+v %v", what, result.Plan, err)
		}
		must(t, lock.Release())
	}
}

// A stage that is mounted read-only is looked at without a word, and writable for
// as long as a run needs it.
func TestReadOnlyStage(t *testing.T) {
	point := filepath.Join(t.TempDir(), "mnt")
	need.Filesystem(t, point, 256<<20, "noatime", "mkfs.ext4", "-q")
	h := newHouseAt(t, filepath.Join(point, "stage"))
	url, sum := h.serve(t, "other.tar")
	h.Find.Options.CacheDir = h.Stage.Downloads()
	config := oneImage + "[image.other]\narchive = \"" + url + "\"\nsha256 = \"" + sum + "\"\n"
	config = strings.Replace(config, `images = ["plain"]`, `images = ["plain", "other"]`, 1)
	readOnly := func() { must(t, unix.Mount("", point, "", unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOATIME, "")) }
	readOnly()
	j, err := h.Look(t.Context(), h.wants(t, "1", config), Request{})
	must(t, err)
	if !j.Stuck() || j.Settled() {
		t.Error("what cannot be fetched is not")
	}
	result, err := h.Run(t.Context(), h.wants(t, "1", config), Request{}, nil)
	if err != nil || len(result.Failed) > 0 || !result.Changed {
		t.Errorf("%+v %v", result, err)
	}
	if err := os.WriteFile(filepath.Join(point, "x"), nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("the stage stays writable: %v", err)
	}
	if again, err := h.Run(t.Context(), h.wants(t, "1", config), Request{}, nil); err != nil || again.Changed {
		t.Errorf("%+v %v", again, err)
	}
}
