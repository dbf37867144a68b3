package plan_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/plan"
)

func inputs(digest string) plan.Inputs {
	return plan.Inputs{ImageDigest: digest, Hooks: "h1", Init: "i1", KernelArgs: []string{"quiet"}}
}

func generation(n int, digest string) plan.Generation {
	return plan.Generation{N: n, Deployment: "d" + digest, Inputs: inputs(digest)}
}

func have(image string, generations ...plan.Generation) plan.Observed {
	return plan.Observed{Revision: "r1", Generations: map[string][]plan.Generation{image: generations}}
}

func lines(p plan.Plan) []string {
	out := []string{}
	for _, a := range p.Actions() {
		line := strings.TrimSpace(strings.Join([]string{string(a.Kind), a.Image, a.Subject}, " "))
		out = append(out, line)
	}
	return out
}

func TestNothingToDoIsEmpty(t *testing.T) {
	p := plan.Compare("laptop", "r1", []plan.Want{{Image: "desktop", Inputs: inputs("a"), Keep: 3}}, have("desktop", generation(1, "a")))
	if !p.Empty() || len(p.Actions()) != 0 {
		t.Errorf("plan has %v", lines(p))
	}
}

func TestActionsComeInTheOrderTheyHappen(t *testing.T) {
	want := plan.Want{Image: "desktop", Inputs: inputs("b"), Keep: 1, Layers: []plan.Layer{{DiffID: "l1", Staged: true}, {DiffID: "l2", Bytes: 7}}}
	observed := have("desktop", generation(4, "a"))
	observed.Generations["old"] = []plan.Generation{generation(1, "z")}
	observed.Stray = []string{"stray"}
	p := plan.Compare("laptop", "r2", []plan.Want{want}, observed)
	got := lines(p)
	expected := []string{
		"add-layer desktop l2", "add-deployment desktop", "record-revision  r2", "write-menu",
		"remove-deployment desktop da", "remove-deployment  stray", "remove-deployment old dz",
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Error(diff)
	}
	if p.Stagings[0].Generation != 5 || p.Bytes() != 7 {
		t.Errorf("generation %d, %d bytes, want 5 and 7", p.Stagings[0].Generation, p.Bytes())
	}
}

func TestEveryInputMakesADeployment(t *testing.T) {
	for reason, change := range map[string]func(*plan.Inputs){
		"image":     func(i *plan.Inputs) { i.ImageDigest = "b" },
		"hooks":     func(i *plan.Inputs) { i.Hooks = "h2" },
		"init":      func(i *plan.Inputs) { i.Init = "i2" },
		"arguments": func(i *plan.Inputs) { i.KernelArgs = nil },
		"kernel":    func(i *plan.Inputs) { i.Kernel = "6.*" },
		"tmpfs":     func(i *plan.Inputs) { i.TmpfsSize = "1g" },
		"verity":    func(i *plan.Inputs) { i.Verity = "report" },
		"ram":       func(i *plan.Inputs) { i.CopyToRAM = true },
		"health":    func(i *plan.Inputs) { h := deployment.DefaultHealth(); i.Health = &h },
	} {
		is := inputs("a")
		change(&is)
		p := plan.Compare("m", "r1", []plan.Want{{Image: "desktop", Inputs: is, Keep: 3}}, have("desktop", generation(1, "a")))
		if len(p.Stagings) != 1 || !strings.Contains(p.Stagings[0].Reasons[0], strings.Fields(reason)[0][:3]) {
			t.Errorf("%s: stages are %+v", reason, p.Stagings)
		}
	}
}

func TestAFailedImageIsLeftAlone(t *testing.T) {
	cause := errors.New("registry is down")
	wants := []plan.Want{{Image: "desktop", Keep: 1, Err: cause}, {Image: "router", Inputs: inputs("x"), Keep: 1}}
	p := plan.Compare("m", "r1", wants, have("desktop", generation(1, "a"), generation(2, "b")))
	if diff := cmp.Diff([]string{"add-deployment router", "write-menu", "skip-image desktop"}, lines(p)); diff != "" {
		t.Error(diff)
	}
}

func TestDamageIsRepaired(t *testing.T) {
	g := generation(1, "a")
	g.Damaged = "generation 1 lacks object 12"
	p := plan.Compare("m", "r1", []plan.Want{{Image: "desktop", Inputs: inputs("a"), Keep: 3}}, have("desktop", g))
	if len(p.Stagings) != 1 || p.Stagings[0].Reasons[0] != g.Damaged {
		t.Errorf("stages are %+v", p.Stagings)
	}
}

func TestKeepSparesProtectedAndNewest(t *testing.T) {
	booted := generation(1, "a")
	booted.Protected = true
	observed := have("desktop", booted, generation(2, "b"), generation(3, "c"))
	p := plan.Compare("m", "r1", []plan.Want{{Image: "desktop", Inputs: inputs("c"), Keep: 1}}, observed)
	if len(p.Removals) != 1 || p.Removals[0].Generation != 2 {
		t.Errorf("removals are %+v, want generation 2 alone", p.Removals)
	}
}

// A plan that was applied leaves nothing to plan, whatever keep is.
func TestPlansConverge(t *testing.T) {
	for keep := 1; keep <= 4; keep++ {
		generations := []plan.Generation{}
		for n := range 6 {
			digest := string(rune('a' + n))
			want := []plan.Want{{Image: "desktop", Inputs: inputs(digest), Keep: keep}}
			p := plan.Compare("m", "r1", want, have("desktop", generations...))
			generations = append(without(generations, p.Removals), generation(p.Stagings[0].Generation, digest))
			if len(generations) != min(keep, n+1) {
				t.Fatalf("keep = %d leaves %d generations after %d", keep, len(generations), n+1)
			}
			if again := plan.Compare("m", "r1", want, have("desktop", generations...)); !again.Empty() {
				t.Fatalf("keep = %d: the next plan is %v", keep, lines(again))
			}
		}
	}
}

func without(generations []plan.Generation, removals []plan.Removal) []plan.Generation {
	var out []plan.Generation
	for _, g := range generations {
		gone := false
		for _, r := range removals {
			gone = gone || r.Generation == g.N
		}
		if !gone {
			out = append(out, g)
		}
	}
	return out
}

// A manifest that cannot be read cannot boot: its generation goes, whatever
// keep says, and the newest is made again.
func TestUnbootableGenerationsGo(t *testing.T) {
	old, last := generation(1, "a"), generation(3, "c")
	old.Unbootable, last.Unbootable, last.Damaged = "its manifest cannot be read", "its manifest cannot be read", "generation 3 has no readable manifest"
	p := plan.Compare("m", "r1", []plan.Want{{Image: "desktop", Inputs: inputs("c"), Keep: 3}}, have("desktop", old, generation(2, "b"), last))
	want := []string{"add-deployment desktop", "write-menu", "remove-deployment desktop da", "remove-deployment desktop dc"}
	if diff := cmp.Diff(want, lines(p)); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutFailedImagesNothingIsClaimed(t *testing.T) {
	wants := []plan.Want{{Image: "desktop", Inputs: inputs("b"), Keep: 1}}
	p := plan.Compare("m", "r1", wants, have("desktop", generation(1, "a")))
	if left := p.Without(map[string]error{"desktop": errors.New("no kernel")}); !left.Empty() {
		t.Errorf("left: %v", lines(left))
	}
	if p.Empty() {
		t.Error("the plan itself was changed")
	}
}
