package reconciler

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/tests/lab"
)

// A run reads each document once, and the machine's once more each time that it takes the
// lock to write it. What one part has written the next goes by.
func TestDocumentsAreReadOnce(t *testing.T) {
	config := func(arg, more string) string {
		return fmt.Sprintf("[image.desktop]\narchive = \"root.tar\"\nkernel_args = [%q]\n[machine.laptop]\nimages = [\"desktop\"]\n%s", arg, more)
	}
	s := newSite(t, config("one", ""))
	stage := s.Machine.Stage
	run := func(what string) {
		t.Helper()
		if result, err := s.Run(t.Context(), Request{Trigger: "test"}); errors.Join(err, result.Err()) != nil {
			t.Fatal(what, err, result.Err())
		}
	}
	run("at first")
	if err := (&state.Workshop{Version: state.Version, Builds: map[string]*state.Build{}, Failure: &state.Failure{Message: "an older one"}}).Save(stage.Dir()); err != nil {
		t.Fatal(err)
	}
	run("the workshop's failure is over")
	opens, err := lab.CountOpens(stage.Dir(), filepath.Dir(stage.Workshop().StateFile()))
	if err != nil {
		t.Fatal(err)
	}
	defer opens.Close()
	for _, c := range []struct {
		what   string
		before func()
		reads  int
	}{
		{"nothing to do", func() {}, 1},
		{"a generation", func() { s.commit(t, config("two", "")) }, 2},
		{"another boot, which is noted", func() {
			s.Machine.BootID, s.Machine.Book.Booted = "11111111-2222-3333-4444-555555555555", s.state(t).Images["desktop"].Newest().Deployment
		}, 2},
		{"nothing to do in a deployment", func() {}, 1},
		{"a generation there", func() { s.commit(t, config("three", "")) }, 2},
		{"the menu decides", func() { s.commit(t, config("three", "boot.mode = \"managed\"\n")) }, 2},
		{"nothing to do, of a menu that decides", func() {}, 1},
		{"one on trial", func() { s.commit(t, config("four", "boot.mode = \"managed\"\n")) }, 2},
		{"another one runs", func() {
			s.Machine.BootID = "11111111-2222-3333-4444-666666666666"
			if s.state(t).Verdicts.State(s.state(t).Images["desktop"].Newest().Deployment) != boot.Trying {
				t.Error("nothing is on trial")
			}
		}, 2},
	} {
		c.before()
		if _, err := opens.Take(); err != nil {
			t.Fatal(err)
		}
		run(c.what)
		read, err := opens.Take()
		if err != nil || read[stage.StateFile()] != c.reads || read[stage.Workshop().StateFile()] != 1 {
			t.Errorf("%s: the machine's is to be read %d times, the workshop's once: %v, %v", c.what, c.reads, read, err)
		}
	}
}
