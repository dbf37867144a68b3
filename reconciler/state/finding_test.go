package state_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

// A workshop that has its own document does not look at what an older gitboot
// kept, even if it has nothing.
func TestItsOwnDocumentCounts(t *testing.T) {
	dir := newDir(t)
	write(t, stage.Layout(dir).StateFile(), `{"version": 1, "builds": {"desktop": {"id": "old"}}}`)
	if err := os.WriteFile(stage.Layout(dir).Workshop().StateFile(), []byte(`{"version": 1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := loadWorkshop(t, dir); len(w.Builds) != 0 {
		t.Errorf("%+v", w.Builds)
	}
	// The workshop's document may be read where the machine's is damaged, and the
	// other way round.
	write(t, stage.Layout(dir).StateFile(), "{")
	loadWorkshop(t, dir)
	write(t, stage.Layout(dir).StateFile(), `{"version": 1}`)
	write(t, stage.Layout(dir).Workshop().StateFile(), "{")
	loadMachine(t, dir)
}

// A clone shares nothing with what it was made from, failures and tries included.
func TestClonesOfFailures(t *testing.T) {
	m := &state.Machine{Version: state.Version, Failure: &state.Failure{Message: "a"}, Images: map[string]*state.Image{"desktop": {Failure: &state.Failure{Message: "b", Tries: plan.Tries{Attempts: 1}}}}}
	c, err := m.Clone()
	if err != nil || !c.Same(m) {
		t.Fatalf("%+v %v", c, err)
	}
	c.Failure.Message, c.Images["desktop"].Failure.Attempts = "changed", 9
	if m.Failure.Message != "a" || m.Images["desktop"].Failure.Attempts != 1 || c.Same(m) {
		t.Errorf("%+v", m)
	}
	empty, err := (&state.Machine{Version: state.Version}).Clone()
	if err != nil || empty.Image("new") == nil || empty.Images["new"] == nil {
		t.Errorf("%+v %v", empty, err)
	}
}

// An image's failure keeps the time at which it was said first, until it is gone.
func TestFail(t *testing.T) {
	img := &state.Image{}
	for _, c := range []struct {
		err   error
		after time.Duration
		since time.Duration
	}{
		{errors.New("no network"), 0, 0},
		{errors.New("no network"), time.Hour, 0},
		{errors.New("no kernel"), 2 * time.Hour, 2 * time.Hour},
		{errors.New("no network"), 3 * time.Hour, 3 * time.Hour},
		{nil, 4 * time.Hour, -1},
		{errors.New("no network"), 5 * time.Hour, 5 * time.Hour},
	} {
		img.Fail(c.err, "k", "laptop", noon.Add(c.after))
		switch {
		case c.err == nil:
			if img.Failure != nil {
				t.Errorf("mended: %+v", img.Failure)
			}
		case img.Failure == nil || img.Failure.Message != c.err.Error() || !img.Failure.Since.Equal(noon.Add(c.since)):
			t.Errorf("after %s: %+v", c.after, img.Failure)
		}
	}
}

// Each try in vain makes the next one later; what is tried before its time, or what
// rests, changes nothing, and what is tried from something else begins anew.
func TestFailuresRest(t *testing.T) {
	img, down := &state.Image{}, errors.New("no network")
	img.Fail(down, "k", "laptop", noon)
	first := img.Failure
	if first.Attempts != 1 || first.Rests("k", noon) == nil || first.Rests("other", noon) != nil || first.Rests("k", first.Next) != nil {
		t.Fatalf("%+v", first)
	}
	img.Fail(down, "k", "laptop", noon.Add(time.Second))
	img.Fail(first.Rests("k", noon), "k", "laptop", noon.Add(time.Second))
	if img.Failure != first {
		t.Errorf("%+v", img.Failure)
	}
	img.Fail(down, "k", "laptop", first.Next)
	if f := img.Failure; f.Attempts != 2 || !f.Since.Equal(noon) || !f.Next.After(first.Next.Add(time.Minute)) {
		t.Errorf("%+v", f)
	}
	img.Fail(down, "other", "laptop", noon.Add(time.Second))
	if f := img.Failure; f.Attempts != 1 || f.Key != "other" {
		t.Errorf("%+v", f)
	}
	if (*state.Failure)(nil).Rests("k", noon) != nil {
		t.Error("what never failed rests")
	}
}

// An id's beginning finds one deployment only where it is long enough and means no
// other; a number, only of its image.
func TestFindByTheBeginning(t *testing.T) {
	m := &state.Machine{Images: map[string]*state.Image{
		"desktop": {Generations: []state.Generation{{N: 1, Deployment: "abcdef01"}, {N: 2, Deployment: "abcdef02"}}},
		"abcdef":  {Generations: []state.Generation{{N: 1, Deployment: "99999999"}}},
	}}
	for name, want := range map[string]string{
		"abcdef01": "desktop 1", "abcdef02": "desktop 2", "abcdef0": "2 generations", "abcdef": "3 generations", // an image's name, and a beginning
		"desktop:01": "no generation", "desktop:": "no generation", "desktop:1:2": "no generation", ":1": "no generation", "": "no generation", "999999": "abcdef 1",
	} {
		found, err := m.Find(name)
		got := found.Image + " " + string(rune('0'+found.N))
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}
