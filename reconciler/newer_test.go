package reconciler

import (
	"context"
	"strings"
	"testing"
)

const family = `
[image.base.build]
from = "archive:root.tar"
run = ["echo base"]
args = { A = "1" }

[image.desktop.build]
from = "image:base"
run = ["echo desktop"]
schedule = "0 3 * * *"

[image.kiosk.build]
from = "archive:root.tar"
run = ["echo kiosk"]

[machine.laptop]
images = ["desktop", "kiosk"]
kernel_args = ["quiet"]
`

// Which builds a newer revision still wants.
func TestNewerRevision(t *testing.T) {
	s := newSite(t, family)
	was, err := s.observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, old, new string
		unwanted       string
	}{
		{"nothing that is built", "quiet", "debug", ""},
		{"a schedule", "0 3 * * *", "0 4 * * *", ""},
		{"a step", "echo kiosk", "echo other", "kiosk"},
		{"a base's argument", `A = "1"`, `A = "2"`, "base desktop"},
		{"an image that goes", `["desktop", "kiosk"]`, `["kiosk"]`, "base desktop"},
		{"another base of the repo", `from = "image:base"`, `from = "image:kiosk"`, "base desktop"},
		{"a base that is built no more", `from = "image:base"`, `from = "archive:root.tar"`, "base desktop"},
		{"another archive", "from = \"archive:root.tar\"\nrun = [\"echo kiosk\"]", "from = \"archive:/other.tar\"\nrun = [\"echo kiosk\"]", "kiosk"},
	} {
		s.commit(t, strings.Replace(family, c.old, c.new, 1))
		newer, err := s.current(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		var unwanted []string
		for _, b := range was.builds {
			if !wantsStill(newer, b) {
				unwanted = append(unwanted, b.want.Name)
			}
		}
		if got := strings.Join(unwanted, " "); got != c.unwanted {
			t.Errorf("%s: %q are not wanted any more, instead of %q", c.what, got, c.unwanted)
		}
	}

	// A revision that came while the base was built keeps its child from being
	// begun, and stops the others.
	x := &builder{Reconciler: s.Reconciler, o: was, running: map[*observedBuild]context.CancelCauseFunc{}}
	running, err := x.begin(t.Context(), was.build("kiosk"))
	if err != nil {
		t.Fatal(err)
	}
	s.commit(t, strings.Replace(family, "echo desktop", "echo other", 1))
	newer, err := s.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	x.compareRunning(newer)
	if running.Err() != nil {
		t.Error("a build that is still wanted is stopped")
	}
	if _, err := x.begin(t.Context(), was.build("desktop")); !superseded(err) {
		t.Errorf("a build that is not wanted begins: %v", err)
	}
	s.commit(t, strings.Replace(family, "echo kiosk", "echo other", 1))
	if newer, err = s.current(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.compareRunning(newer)
	if !superseded(context.Cause(running)) {
		t.Errorf("a build that is not wanted runs on: %v", context.Cause(running))
	}
	x.end(was.build("kiosk"))
}
