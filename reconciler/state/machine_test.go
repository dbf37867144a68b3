package state_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
)

func numbers(img *state.Image) (out []int) {
	for _, g := range img.Generations {
		out = append(out, g.N)
	}
	return out
}

// One deployment is one entry: one that comes back takes its new number.
func TestGenerations(t *testing.T) {
	img := &state.Image{}
	if img.Newest() != nil || (*state.Image)(nil).Newest() != nil {
		t.Error("nothing has a newest generation")
	}
	for n, deployment := range []string{"a", "b", "c", "a"} {
		img.Add(state.Generation{N: n + 1, Deployment: deployment})
	}
	if got := numbers(img); !slices.Equal(got, []int{2, 3, 4}) || img.Newest().Deployment != "a" {
		t.Errorf("%v", got)
	}
	img.Remove("b")
	img.RemoveNumber(4)
	img.RemoveNumber(9)
	if got := numbers(img); !slices.Equal(got, []int{3}) {
		t.Errorf("%v", got)
	}
}

func TestDropUnwanted(t *testing.T) {
	m := &state.Machine{Images: map[string]*state.Image{
		"wanted": {}, "staged": {Generations: []state.Generation{{N: 1}}}, "gone": {Failure: &state.Failure{}},
	}}
	m.DropUnwanted(func(name string) bool { return name == "wanted" })
	if len(m.Images) != 2 || m.Images["gone"] != nil {
		t.Errorf("%v", m.Images)
	}
}

func TestFind(t *testing.T) {
	m := &state.Machine{Images: map[string]*state.Image{
		"desktop": {Generations: []state.Generation{{N: 1, Deployment: "aaaaaaaa11"}, {N: 3, Deployment: "bbbbbbbb22"}}},
		"router":  {Generations: []state.Generation{{N: 1, Deployment: "aaaaaaaa33"}}},
		"empty":   {},
	}}
	for name, want := range map[string]string{
		"desktop":                             "desktop:3",
		"desktop:1":                           "desktop:1",
		"router":                              "router:1",
		"bbbbbb":                              "desktop:3",
		"aaaaaaaa33":                          "router:1",
		boot.EntryID("desktop", "aaaaaaaa11"): "desktop:1",
		"aaaaaaaa":                            "not one but 2",
		"bbbbb":                               "no generation", // too short to be an id
		"desktop:2":                           "no generation",
		"desktop:x":                           "no generation",
		"empty":                               "no generation",
		"desktp":                              `did you mean "desktop"?`,
		boot.EntryID("desktop", "cccccccc44"): "boot list",
		strings.Repeat("long name that is none", 9): "no generation",
	} {
		found, err := m.Find(name)
		got := fmt.Sprintf("%s:%d", found.Image, found.N)
		if err != nil {
			got = err.Error()
			if wrong := (*state.NameError)(nil); !errors.As(err, &wrong) {
				t.Errorf("%q: %T", name, err)
			}
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
}

func TestBefore(t *testing.T) {
	m := &state.Machine{Images: map[string]*state.Image{"desktop": {Generations: []state.Generation{{N: 2}, {N: 5}}}}}
	if f, err := m.Before(state.Found{Image: "desktop", Generation: state.Generation{N: 5}}); err != nil || f.N != 2 {
		t.Errorf("%+v %v", f, err)
	}
	if _, err := m.Before(state.Found{Image: "desktop", Generation: state.Generation{N: 2}}); err == nil || !strings.Contains(err.Error(), "no generation before it") {
		t.Error(err)
	}
}

func TestMenuOrder(t *testing.T) {
	m := &state.Machine{Order: []string{"b", "a"}, Images: map[string]*state.Image{"a": {}, "z": {}, "c": {}}}
	if got := m.MenuOrder(); !slices.Equal(got, []string{"b", "a", "c", "z"}) {
		t.Errorf("%q", got)
	}
	if !slices.Equal(m.Order, []string{"b", "a"}) {
		t.Error("asking for the order has changed it")
	}
}

func TestFrom(t *testing.T) {
	if got := (state.Generation{}).From(); got != "imported" {
		t.Error(got)
	}
	if got := (state.Generation{Revision: strings.Repeat("a", 40)}).From(); got != "revision aaaaaaaaaaaa" {
		t.Error(got)
	}
}

// What stands keeps its time, so that it is not written anew; ports are no
// difference.
func TestFailures(t *testing.T) {
	later := noon.Add(time.Hour)
	first := (*state.Failure)(nil).After(errors.New("dial 10.0.0.1:4711->10.0.0.2:443: no"), noon)
	if first == nil || !first.Since.Equal(noon) {
		t.Fatalf("%+v", first)
	}
	if again := first.After(errors.New("dial 10.0.0.1:9999->10.0.0.2:443: no"), later); again != first {
		t.Errorf("the same through another port is %+v", again)
	}
	if other := first.After(errors.New("something else"), later); other == first || !other.Since.Equal(later) {
		t.Errorf("another is %+v", other)
	}
	if first.After(nil, later) != nil {
		t.Error("it stands without an error")
	}
}

func TestFailureOfARun(t *testing.T) {
	later := noon.Add(time.Hour)
	lines := errors.New(strings.Repeat("line\x1b[31m\n", 20) + "end")
	first := (*state.Failure)(nil).OfRun(lines, "r1", noon)
	if strings.Contains(first.Message, "\x1b") || strings.Count(first.Message, "\n") != 8 || !strings.Contains(first.Message, "and 13 lines more") {
		t.Errorf("kept is %q", first.Message)
	}
	if first.OfRun(lines, "r1", later) != first {
		t.Error("the same of the same revision is another")
	}
	if next := first.OfRun(lines, "r2", later); next == first || next.Revision != "r2" || !next.Since.Equal(noon) {
		t.Errorf("of another revision it is %+v", next)
	}
	if next := first.OfRun(errors.New("other"), "r1", later); !next.Since.Equal(later) {
		t.Errorf("another is %+v", next)
	}
}

func TestRuns(t *testing.T) {
	dir := newDir(t)
	for n := range state.RunsKept + 3 {
		r := state.Run{
			Part: "machine", Trigger: "command", Revision: fmt.Sprint(n), Began: noon.Add(time.Duration(n) * time.Minute), Ended: noon,
			Steps: []state.Step{{Action: plan.Action{Kind: plan.WriteMenu}, Began: noon}},
		}
		r.Fail(map[string]error{"desktop": errors.New("no\x1b[0m")}, nil)
		if err := r.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	other := state.Run{Part: "workshop", Began: noon.Add(99 * time.Hour)}
	other.Fail(nil, errors.New("cut"))
	if err := other.Save(dir); err != nil {
		t.Fatal(err)
	}
	runs, err := state.Runs(dir)
	if err != nil || len(runs) != state.RunsKept {
		t.Fatalf("%d runs are kept: %v", len(runs), err)
	}
	if r := runs[0]; r.Part != "workshop" || r.Error != "cut" || r.Steps == nil {
		t.Errorf("the newest is %+v", r)
	}
	if r := runs[1]; r.Revision != "102" || len(r.Steps) != 1 || r.Steps[0].Kind != plan.WriteMenu || strings.Contains(r.Failed["desktop"], "\x1b") {
		t.Errorf("the one before is %+v", r)
	}
	if oldest := runs[len(runs)-1]; oldest.Revision != "4" {
		t.Errorf("the oldest is %+v", oldest)
	}
}

// A record that cannot be read costs only itself.
func TestADamagedRun(t *testing.T) {
	dir := newDir(t)
	if err := (state.Run{Part: "machine", Began: noon}).Save(dir); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/runs/20990101T000000.000000000Z-machine.json", "{")
	write(t, dir+"/runs/notes.txt", "mine")
	if runs, err := state.Runs(dir); err != nil || len(runs) != 1 {
		t.Errorf("%v %v", runs, err)
	}
}
