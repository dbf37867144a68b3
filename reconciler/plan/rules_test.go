package plan_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/reconciler/plan"
)

func want(image string, change func(*plan.Want)) plan.Want {
	w := plan.Want{Image: image, Inputs: inputs("a"), Keep: 3}
	if change != nil {
		change(&w)
	}
	return w
}

// What differs is said as people would read it, and all of it.
func TestReasons(t *testing.T) {
	changed := generation(1, "a")
	for what, c := range map[string]struct {
		was    func(*plan.Generation)
		want   func(*plan.Want)
		reason string
	}{
		"first":                     {nil, nil, "first deployment"},
		"imported":                  {func(g *plan.Generation) { g.Inputs.ImageDigest = "" }, func(w *plan.Want) { w.Inputs.Hooks = "h2" }, "the last generation was imported from a file"},
		"an image":                  {func(g *plan.Generation) {}, func(w *plan.Want) { w.Inputs.ImageDigest = "sha256:0123456789abcdef" }, "image a → 0123456789ab"},
		"built first":               {func(g *plan.Generation) {}, func(w *plan.Want) { w.Building, w.Inputs.ImageDigest = true, "" }, "the image is built; not needed if its layers come out the same"},
		"the former disk":           {func(g *plan.Generation) {}, func(w *plan.Want) { w.Inputs.FormerDisk = "f" }, "what is of the image's former disk is taken out"},
		"the former disk, too":      {func(g *plan.Generation) {}, func(w *plan.Want) { w.Inputs.FormerDisk, w.Inputs.ImageDigest = "f", "b" }, "image a → b"},
		"looked at by a newer look": {func(g *plan.Generation) {}, func(w *plan.Want) { w.Inputs.Looked = 9 }, ""},
		"arguments":                 {func(g *plan.Generation) {}, func(w *plan.Want) { w.Inputs.KernelArgs = []string{"quiet", "x"} }, `kernel arguments "quiet" → "quiet x"`},
		"no kernel pattern":         {func(g *plan.Generation) { g.Inputs.Kernel = "6.*" }, nil, "kernel 6.* → newest"},
		"a size":                    {func(g *plan.Generation) {}, func(w *plan.Want) { w.Inputs.TmpfsSize = "1g" }, "tmpfs_size default → 1g"},
		"memory":                    {func(g *plan.Generation) { g.Inputs.CopyToRAM = true }, nil, "copy_to_ram true → false"},
		"verified layers":           {func(g *plan.Generation) {}, func(w *plan.Want) { w.Inputs.Verity = "enforce" }, "verity off → enforce"},
		"two":                       {func(g *plan.Generation) {}, func(w *plan.Want) { w.Inputs.Hooks, w.Inputs.Init = "h2", "i2" }, "hooks changed; gitboot-init changed"},
		"damage":                    {func(g *plan.Generation) { g.Damaged = "generation 1 lacks object 12" }, func(w *plan.Want) { w.Inputs.Hooks = "h2" }, "hooks changed; generation 1 lacks object 12"},
	} {
		var have []plan.Generation
		if c.was != nil {
			g := changed
			c.was(&g)
			have = append(have, g)
		}
		p := plan.Compare("m", "r1", []plan.Want{want("desktop", c.want)}, have1("desktop", have))
		got := ""
		if len(p.Stagings) > 0 {
			got = strings.Join(p.Stagings[0].Reasons, "; ")
		}
		if got != c.reason {
			t.Errorf("%s: %q, want %q", what, got, c.reason)
		}
	}
}

func have1(image string, generations []plan.Generation) plan.Observed {
	return plan.Observed{Revision: "r1", Generations: map[string][]plan.Generation{image: generations}}
}

// Which generations stay, whatever may not go among them.
func TestKeep(t *testing.T) {
	for what, c := range map[string]struct {
		keep      int
		protected string // numbers, after a P those that are pinned
		digest    string // what is wanted; c is the newest
		removed   string
	}{
		"enough room":                 {3, "", "c", ""},
		"two":                         {2, "", "c", "1"},
		"one":                         {1, "", "c", "1 2"},
		"none is one":                 {0, "", "c", "1 2"},
		"one comes":                   {3, "", "d", "1"},
		"one comes, one stays":        {1, "", "d", "1 2 3"},
		"the oldest runs":             {2, "1", "c", "2"},
		"all are protected":           {1, "123", "d", ""},
		"the newest is protected":     {1, "3", "d", "1 2"},
		"protected ones count, too":   {2, "12", "c", ""},
		"one comes beside a used one": {2, "2", "d", "1 3"},
		"pinned ones do not count":    {1, "P1", "c", "2"},
		"nor when one comes":          {2, "P12", "d", ""},
		"the newest is pinned":        {1, "P3", "c", "1"},
	} {
		generations := []plan.Generation{generation(1, "a"), generation(2, "b"), generation(3, "c")}
		for i, n := range []string{"1", "2", "3"} {
			generations[i].Protected = strings.Contains(c.protected, n)
			generations[i].Pinned = generations[i].Protected && strings.HasPrefix(c.protected, "P")
		}
		w := want("desktop", func(w *plan.Want) { w.Inputs, w.Keep = inputs(c.digest), c.keep })
		var removed []string
		for _, r := range plan.Compare("m", "r1", []plan.Want{w}, have("desktop", generations...)).Removals {
			removed = append(removed, string(rune('0'+r.Generation)))
		}
		if got := strings.Join(removed, " "); got != c.removed {
			t.Errorf("%s: %q are removed, want %q", what, got, c.removed)
		}
	}
}

// What nobody wants any more goes, but for what must not.
func TestUnwanted(t *testing.T) {
	imported := generation(2, "b")
	imported.Protected = true
	observed := have("old", generation(1, "a"), imported)
	observed.Generations["other"] = []plan.Generation{generation(7, "x")}
	observed.Stray = []string{"stray2", "stray1"}
	want := []string{"write-menu", "remove-deployment  stray1", "remove-deployment  stray2", "remove-deployment old da", "remove-deployment other dx"}
	for range 10 { // maps have no order
		if diff := cmp.Diff(want, lines(plan.Compare("m", "r1", nil, observed))); diff != "" {
			t.Fatal(diff)
		}
	}
}

// What failed images have got is kept for their next try, and a plan promises
// nothing else: not before, and not when one fails on the way.
func TestGarbageStaysWithAFailedImage(t *testing.T) {
	observed := have("desktop", generation(1, "a"))
	observed.Garbage = 5
	wants := []plan.Want{want("desktop", nil), want("router", func(w *plan.Want) { w.Err = errors.New("not built yet") })}
	p := plan.Compare("m", "r1", wants, observed)
	if diff := cmp.Diff([]string{"skip-image router"}, lines(p)); diff != "" || !p.Empty() {
		t.Error(diff)
	}
	p = plan.Compare("m", "r1", wants[:1], observed)
	if diff := cmp.Diff([]string{"collect-garbage"}, lines(p)); diff != "" || p.Empty() {
		t.Error(diff)
	}
	if left := p.Without(map[string]error{"desktop": errors.New("no kernel")}); !left.Empty() || p.Garbage != 5 {
		t.Errorf("left: %v", lines(left))
	}
}

// Of what fails on the way nothing is claimed, and of the rest all.
func TestWithout(t *testing.T) {
	p := plan.Plan{
		Menu: "entries change", From: "r1", To: "r1",
		Builds:   []plan.Build{{Image: "desktop"}, {Image: "router"}},
		Stagings: []plan.Staging{{Image: "desktop"}, {Image: "router"}},
		Removals: []plan.Removal{{Image: "desktop", Deployment: "d1"}, {Image: "old", Deployment: "d2"}},
	}
	failed := map[string]error{"desktop": errors.New("no")}
	left := p.Without(failed)
	want := []string{"build-image router", "add-deployment router", "write-menu", "remove-deployment old d2", "skip-image desktop"}
	if diff := cmp.Diff(want, lines(left)); diff != "" {
		t.Error(diff)
	}
	if len(p.Stagings) != 2 || len(p.Builds) != 2 || len(p.Removals) != 2 {
		t.Errorf("the plan itself was changed: %+v", p)
	}
	both := maps.Clone(failed)
	both["router"], both["old"] = errors.New("no"), errors.New("no")
	if left := p.Without(both); left.Menu != "" {
		t.Errorf("the menu changes for nothing: %+v", left)
	}
	p.Menu = "the menu was changed by hand"
	if left := p.Without(both); left.Menu == "" {
		t.Error("a menu that is stale stays so")
	}
}

// A layer that several images need is fetched once, and what is said of an image
// comes with its deployment.
func TestActions(t *testing.T) {
	shared, own := plan.Layer{DiffID: "shared", Bytes: 5}, plan.Layer{DiffID: "own", Bytes: 7}
	p := plan.Plan{
		From: "", To: strings.Repeat("b", 40),
		Stagings: []plan.Staging{{Image: "desktop", Layers: []plan.Layer{shared}}, {Image: "router", Layers: []plan.Layer{shared, own}}},
		Pushes:   []plan.Push{{Image: "desktop", Ref: "registry/desktop:1", Reason: "it changed"}},
	}
	p.SetPackages("router", "2 upgraded")
	p.SetNotes("router", []string{"note"}, []string{"warning"})
	p.SetPackages("nobody", "lost")
	p.SetNotes("nobody", []string{"lost"}, nil)
	want := []plan.Action{
		{Kind: plan.AddLayer, Image: "desktop", Subject: "shared", Bytes: 5},
		{Kind: plan.AddLayer, Image: "router", Subject: "own", Bytes: 7},
		{Kind: plan.AddDeployment, Image: "desktop"},
		{Kind: plan.AddDeployment, Image: "router", Packages: "2 upgraded", Notes: []string{"note"}, Warnings: []string{"warning"}},
		{Kind: plan.RecordRevision, Subject: strings.Repeat("b", 40), Reason: "was none"},
		{Kind: plan.PushImage, Image: "desktop", Ref: "registry/desktop:1", Reason: "it changed"},
	}
	if diff := cmp.Diff(want, p.Actions()); diff != "" {
		t.Error(diff)
	}
}
