package machine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/engines"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
)

const builtImage = `
[image.plain]
archive = "./plain.tar"
[image.other.build]
from = "archive:plain.tar"
run = ["true"]
[machine.laptop]
images = ["plain", "other"]
`

// newShopHouse is a house whose workshop has an engine: a BuildKit daemon that
// nobody has started, which holds images and builds none.
func newShopHouse(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	h.EngineDir = h.Stage.Engine()
	h.Engine = func(string) (engine.Engine, error) {
		return engines.Open("buildkit", engines.Options{Dir: h.EngineDir})
	}
	return h
}

// make has the workshop make an image of one layer, as if it had built it.
func (h *house) make(t *testing.T, name, archive string) *state.Build {
	t.Helper()
	data := h.files[archive].Data
	given := engine.Image{Config: []byte(`{"config":{}}`), Layers: []engine.Layer{{
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}}}
	e, err := h.Engine("")
	must(t, err)
	img, err := engine.ImportBuilt(t.Context(), e, given, "", t.TempDir())
	must(t, err)
	made, err := state.LoadWorkshop(h.Stage.Dir())
	must(t, err)
	b := &state.Build{ID: img.ID, Digest: img.Digest, Engine: "buildkit", Layers: []string{img.Layers[0].DiffID}, Sizes: []int64{img.Layers[0].Size}}
	made.SetBuild(name, b)
	must(t, made.Save(h.Stage.Dir()))
	return b
}

// What the workshop has ready is taken out of the engine's store, once, and needs
// that no more when it is staged.
func TestABuiltImage(t *testing.T) {
	h := newShopHouse(t)
	made := h.make(t, "other", "other.tar")
	printed, done, result := h.run(t, "1", builtImage)
	if len(result.Failed) > 0 || len(printed) != len(done) || kinds(done) != "add-layer add-layer add-deployment add-deployment record-revision write-menu link-menu" {
		t.Fatalf("done %s, failed %v", kinds(done), result.Failed)
	}
	if done[1].Subject != made.Layers[0] || done[1].Bytes != 0 {
		t.Errorf("nothing has to be fetched of what lies here: %+v", done[1])
	}
	if g := h.doc(t).Images["other"].Newest(); g.Inputs.ImageDigest != made.Digest || h.doc(t).Images["other"].Origin.Digest != made.Digest {
		t.Errorf("%+v", g)
	}
	must(t, os.RemoveAll(h.EngineDir))
	if _, done, result := h.run(t, "1", builtImage); len(done) > 0 || len(result.Failed) > 0 {
		t.Errorf("without the store: %s %v", kinds(done), result.Failed)
	}
	// A hook has the layers that are staged.
	if _, _, result := h.run(t, "2", builtImage+"hooks = [\"name\"]\n[hook.name.hostname]\nname = \"x\"\n"); len(result.Failed) > 0 || len(result.Plan.Stagings) != 2 {
		t.Errorf("%+v", result)
	}
}

// A build that came out as another is taken; a failure of the workshop is not the
// machine's as long as there is something to boot.
func TestANewBuild(t *testing.T) {
	h := newShopHouse(t)
	h.make(t, "other", "other.tar")
	h.run(t, "1", builtImage)
	next := h.make(t, "other", "plain.tar")
	_, done, result := h.run(t, "1", builtImage)
	if len(result.Failed) > 0 || kinds(done) != "add-layer add-deployment write-menu" || !strings.Contains(result.Plan.Stagings[0].Reasons[0], "→ "+plan.Short(next.Digest)) {
		t.Errorf("done %s, %+v", kinds(done), result)
	}
	made, err := state.LoadWorkshop(h.Stage.Dir())
	must(t, err)
	made.Builds["other"].Failure = &state.Failure{Message: "step 1 failed"}
	must(t, made.Save(h.Stage.Dir()))
	if _, done, result := h.run(t, "1", builtImage); len(done) > 0 || len(result.Failed) > 0 || h.doc(t).AnyFailure() {
		t.Errorf("done %s, failed %v", kinds(done), result.Failed)
	}
}

// What the store does not hold, or holds in a false form, fails its image alone.
func TestABuiltImageIsLost(t *testing.T) {
	for what, c := range map[string]struct {
		harm func(*house, *state.Build)
		want string
	}{
		"the image is gone": {func(h *house, _ *state.Build) { must(t, os.RemoveAll(filepath.Join(h.EngineDir, "buildkit"))) }, "the engine's store does not hold it"},
		"a layer is gone":   {func(h *house, b *state.Build) { must(t, os.Remove(h.blob(b.Layers[0]))) }, "the engine's store does not hold it"},
		"a false layer": {func(h *house, b *state.Build) {
			data, err := os.ReadFile(h.blob(b.Layers[0]))
			must(t, err)
			data[len(data)/2] ^= 1
			must(t, os.WriteFile(h.blob(b.Layers[0]), data, 0o600))
		}, "other"},
		"no engine": {func(h *house, _ *state.Build) {
			h.Engine = func(string) (engine.Engine, error) { return nil, errors.New("no engine") }
		}, "no engine"},
		"no folder": {func(h *house, _ *state.Build) { h.EngineDir = filepath.Join(h.dir, "init/none") }, "keep what is in the engines' folder"},
	} {
		h := newShopHouse(t)
		c.harm(h, h.make(t, "other", "other.tar"))
		_, _, result := h.run(t, "1", builtImage)
		err := result.Failed["other"]
		if len(result.Failed) != 1 || err == nil || !strings.HasPrefix(err.Error(), "stage layers: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, result.Failed)
		}
		if f := h.doc(t).Images["other"].Failure; f == nil || f.Message != err.Error() || !strings.Contains(h.menu(t), "plain, generation 1") {
			t.Errorf("%s: %+v", what, f)
		}
	}
}

// While old images are being removed, none is read.
func TestBuiltImagesAreReadUnderALease(t *testing.T) {
	h := newShopHouse(t)
	h.make(t, "other", "other.tar")
	w := h.wants(t, "1", builtImage)
	j, err := h.Look(t.Context(), w, Request{})
	must(t, err)
	release, err := engine.Removing(t.Context(), h.EngineDir)
	must(t, err)
	soon, end := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer end()
	s := &staging{image: j.images["other"]}
	if err := (fetcher{&application{Job: j}}).takeBuilt(soon, s); err == nil || !strings.Contains(err.Error(), "keep what is in the engines' folder") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	must(t, release())
	if err := (fetcher{&application{Job: j}}).takeBuilt(t.Context(), s); err != nil || len(s.layers) != 1 {
		t.Errorf("%v %v", s.layers, err)
	}
}

func (h *house) blob(digest string) string {
	return filepath.Join(h.EngineDir, "buildkit/blobs/sha256", strings.TrimPrefix(digest, "sha256:"))
}
