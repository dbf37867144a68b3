package workshop

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/engines"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/tests/need"
)

// What there is to build after all was built, and something changed.
func TestLook(t *testing.T) {
	config := func(old, new string) func(*testing.T, *testShop) string {
		return func(*testing.T, *testShop) string { return strings.Replace(family, old, new, 1) }
	}
	stays := "desktop: its base image:base is built; not needed if that comes out the same"
	for what, c := range map[string]struct {
		change func(*testing.T, *testShop) string // and the config
		want   string
	}{
		"nothing":             {config("", ""), ""},
		"a step":              {config("echo kiosk", "echo other"), "kiosk: run changed"},
		"a base's step":       {config("echo base", "echo other"), "base: run changed; " + stays},
		"a base's argument":   {config(`args = { A = "1" }`, ""), "base: args.A is gone; " + stays},
		"another base":        {config(`from = "image:base"`, `from = "image:kiosk"`), "desktop: from changed"},
		"an argument is new":  {config("run = [\"echo kiosk\"]", "run = [\"echo kiosk\"]\nargs = { B = \"1\" }"), "kiosk: args.B is new"},
		"no image any more":   {config(`["desktop", "kiosk"]`, `["kiosk"]`), ""},
		"the schedule is due": {func(_ *testing.T, s *testShop) string { s.now = s.now.Add(24 * time.Hour); return family }, "desktop: schedule 0 3 * * * is due"},
		"the images are lost": {func(t *testing.T, s *testShop) string { s.loseImages(t); return family },
			// kiosk and desktop are to be staged, and desktop needs its base.
			"base: the engine's store does not hold it any more; desktop: the engine's store does not hold it any more; kiosk: the engine's store does not hold it any more"},
		"a base is lost": {func(t *testing.T, s *testShop) string {
			forget(t, s, "base")
			return family
		}, ""}, // nobody needs it
		"a base is lost that is built on": {func(t *testing.T, s *testShop) string {
			forget(t, s, "base")
			return strings.Replace(family, "echo desktop", "echo other", 1)
		}, "base: the engine's store does not hold it any more; desktop: run changed"},
	} {
		s := newShop(t)
		s.giveAll(t, wants(t, family))
		before := s.written(t)
		text := c.change(t, s)
		if got := planned(s.look(t, wants(t, text), Request{})); got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
		if !os.SameFile(before, s.written(t)) {
			t.Errorf("%s: looking has written the document", what)
		}
	}
}

// forget has the engine's store lose one image.
func forget(t *testing.T, s *testShop, name string) {
	t.Helper()
	id := strings.TrimPrefix(s.doc(t).Builds[name].ID, "sha256:")
	must(t, os.Remove(filepath.Join(s.Stage.Engine(), "buildkit/blobs/sha256", id)))
}

// At first all is built, bases before what is built on them.
func TestLookAtFirst(t *testing.T) {
	s := newShop(t)
	j := s.look(t, wants(t, family), Request{})
	want := "base: it was not built yet; desktop: it was not built yet; kiosk: it was not built yet"
	if got := planned(j); got != want || !j.Builds("desktop") || j.Builds("nothing") || j.Settled() {
		t.Errorf("%q", got)
	}
	if s.written(t) != nil {
		t.Error("looking has written a document")
	}
}

// What has been staged already is not needed in the engine's store.
func TestALostImageThatIsStaged(t *testing.T) {
	need.Programs(t, "tar2sqfs")
	s, w := newShop(t), wants(t, family)
	s.giveAll(t, w)
	e, err := s.Engine("")
	must(t, err)
	for _, name := range []string{"desktop", "kiosk"} {
		img, err := e.Image(t.Context(), s.doc(t).Builds[name].ID)
		must(t, err)
		l := img.Layers[0]
		_, err = s.Stage.AddLayer(t.Context(), stage.Tar{DiffID: l.DiffID, Name: name, Size: l.Size, Open: l.Open})
		must(t, err)
	}
	s.loseImages(t)
	if got := planned(s.look(t, w, Request{})); got != "" {
		t.Errorf("%q", got)
	}
}

// An image that cannot be looked at fails alone, with those that are built on it;
// what was known of it is kept.
func TestLookFails(t *testing.T) {
	broken := strings.Replace(family, "archive:root.tar", "archive:lacks.tar", 1) // the base's
	s := newShop(t)
	s.giveAll(t, wants(t, family))
	w := wantsOf(t, broken, fstest.MapFS{"root.tar": {Data: tarOf(t, map[string]string{"etc/": ""})}, "lacks.tar": {Data: []byte("no tar")}})
	j := s.look(t, w, Request{})
	failed := j.Failed()
	if names(failed) != "base desktop" || !errors.As(failed["desktop"], new(*ParentError)) || planned(j) != "" || j.Builds("base") {
		t.Errorf("failed %v, planned %q", failed, planned(j))
	}
	if err := failed["base"]; !strings.HasPrefix(err.Error(), "look up the base archive:lacks.tar: ") {
		t.Error(err)
	}
	was := s.doc(t)
	s.make(t, w, Request{})
	is := s.doc(t)
	if f := is.Builds["desktop"].Failure; f == nil || f.Message != "not built, because its base image:base failed" || !f.Since.Equal(s.now) {
		t.Errorf("%+v", f)
	}
	for name, b := range is.Builds {
		b.Failure = nil
		if diff := cmp.Diff(was.Builds[name], b); diff != "" {
			t.Errorf("%s is known as something else:\n%s", name, diff)
		}
	}
	if len(s.runs(t)) > 0 {
		t.Error("a job that has made nothing leaves a record")
	}
	// It stands, and is written once. Mended, it is forgotten.
	if j := s.look(t, w, Request{}); !j.Settled() {
		t.Error("a failure that stands leaves something to do")
	}
	s.make(t, wants(t, family), Request{})
	if f := s.doc(t).Builds["base"].Failure; f != nil {
		t.Errorf("%+v", f)
	}
}

// An engine that there is not fails its images.
func TestNoSuchEngine(t *testing.T) {
	s := newShop(t)
	s.Engine = func(name string) (engine.Engine, error) {
		return engines.Open(map[bool]string{true: "buildkit", false: "none"}[name == ""], engines.Options{Dir: s.Stage.Engine()})
	}
	w := wants(t, strings.Replace(family, "[image.kiosk.build]", "[image.kiosk.build]\nengine = \"podman\"", 1))
	j := s.look(t, w, Request{})
	if err := j.Failed()["kiosk"]; err == nil || !strings.Contains(err.Error(), "not supported by this gitboot") || !j.Builds("base") {
		t.Errorf("%v, planned %q", err, planned(j))
	}
}

// A document that cannot be read is told with its remedy, and nothing is begun.
func TestLookWithoutADocument(t *testing.T) {
	s := newShop(t)
	must(t, os.WriteFile(s.Stage.Workshop().StateFile(), []byte("{"), 0o600))
	j, err := s.Look(t.Context(), wants(t, family), Request{})
	if err == nil || !strings.Contains(err.Error(), "move the file away") || j == nil || planned(j) != "" || len(j.Failed()) > 0 {
		t.Errorf("%+v %v", j, err)
	}
	if err := j.End(); err != nil {
		t.Error(err)
	}
	if _, err := s.Render(t.Context(), wants(t, family), "base"); err == nil {
		t.Error("it is rendered")
	}
}

// Which builds a request chooses.
func TestChoose(t *testing.T) {
	const asked = "asked for without cache"
	for what, c := range map[string]struct {
		req  Request
		all  string
		plan string
	}{
		"nothing named":        {Request{}, "base desktop kiosk", ""},
		"without names":        {Request{NoCache: true}, "base desktop kiosk", ""},
		"all":                  {Request{All: true}, "base desktop kiosk", ""},
		"all, without cache":   {Request{All: true, NoCache: true}, "base desktop kiosk", "base: " + asked + "; desktop: " + asked + "; kiosk: " + asked},
		"one":                  {Request{Names: []string{"kiosk"}}, "kiosk", ""},
		"one, without cache":   {Request{Names: []string{"kiosk"}, NoCache: true}, "kiosk", "kiosk: " + asked},
		"a child":              {Request{Names: []string{"desktop"}}, "base desktop", ""},
		"a child, no cache":    {Request{Names: []string{"desktop"}, NoCache: true}, "base desktop", "desktop: " + asked},
		"a base alone":         {Request{Names: []string{"base"}, NoCache: true}, "base", "base: " + asked},
		"what is named twice":  {Request{Names: []string{"kiosk", "kiosk"}}, "kiosk", ""},
		"a base and its child": {Request{Names: []string{"desktop", "base"}, NoCache: true}, "base desktop", "base: " + asked + "; desktop: " + asked},
	} {
		s := newShop(t)
		s.giveAll(t, wants(t, family))
		j := s.look(t, wants(t, family), c.req)
		var all []string
		for _, r := range j.Results() {
			all = append(all, r.Image)
		}
		if got := strings.Join(all, " "); got != c.all || planned(j) != c.plan {
			t.Errorf("%s: of %q %q is planned", what, got, planned(j))
		}
	}
}

// A chosen child without cache whose base the store has lost builds that first.
func TestAChosenChildNeedsItsBase(t *testing.T) {
	s := newShop(t)
	s.giveAll(t, wants(t, family))
	forget(t, s, "base")
	j := s.look(t, wants(t, family), Request{Names: []string{"desktop"}, NoCache: true})
	if got := planned(j); got != "base: the engine's store does not hold it any more; desktop: asked for without cache" {
		t.Errorf("%q", got)
	}
}

// What cannot be built here is told with what can.
func TestChooseNothing(t *testing.T) {
	config := strings.Replace(family, `images = ["desktop", "kiosk"]`, `images = ["desktop", "kiosk", "pulled"]`, 1) + "[image.pulled]\npull = \"registry.lan/pulled:1\"\n"
	for name, want := range map[string]string{
		"kisk":   `machine "laptop" builds no image "kisk" (did you mean "kiosk"?); choose one of: base, desktop, kiosk`,
		"pulled": "it is pulled here; if it is declared with build, the machine's builds can name it",
	} {
		s := newShop(t)
		_, err := s.Look(t.Context(), wants(t, config), Request{Names: []string{"kiosk", name}})
		wrong := (*state.NameError)(nil)
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Render(t.Context(), wants(t, config), name); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Bases come before what is built on them, each once.
func TestOrder(t *testing.T) {
	config := family + "builds = [\"extra\", \"kiosk\"]\n" + `
[image.extra.build]
from = "image:desktop"
run = ["echo extra"]
`
	config = strings.Replace(config, `["desktop", "kiosk"]`, `["kiosk", "desktop"]`, 1)
	var got []string
	for _, img := range Order(wants(t, config).Wants) {
		got = append(got, img.Name)
	}
	if diff := cmp.Diff([]string{"kiosk", "base", "desktop", "extra"}, got); diff != "" {
		t.Error(diff)
	}
	if none := Order(&spec.Wants{Images: []spec.Image{{Name: "pulled"}}}); len(none) > 0 {
		t.Errorf("%v are built", none)
	}
}

// Nothing is needed to see what would be executed.
func TestRender(t *testing.T) {
	s := newShop(t)
	s.Engine = func(string) (engine.Engine, error) { return nil, errors.New("no engine") }
	for name, want := range map[string]string{"base": "echo base", "desktop": "echo desktop", "kiosk": "echo kiosk"} {
		text, err := s.Render(t.Context(), wants(t, family), name)
		if err != nil || strings.Count(string(text), "RUN echo ") != 1 || !strings.Contains(string(text), "RUN "+want+"\n") {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

func TestLayers(t *testing.T) {
	b := &state.Build{Layers: []string{"sha256:a", "sha256:b"}, Sizes: []int64{7}}
	got := layersOf(b)
	if len(got) != 2 || got[0].DiffID != "sha256:a" || got[0].Size != 7 || got[1].Size != 0 {
		t.Errorf("%+v", got)
	}
	if ids := LayerIDs(b); len(ids) != 2 || ids[1].DiffID != "sha256:b" {
		t.Errorf("%+v", ids)
	}
}
