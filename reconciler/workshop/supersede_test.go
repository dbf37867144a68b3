package workshop

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// Which builds a newer revision still wants.
func TestWantedBy(t *testing.T) {
	was, err := newShop(t).Look(t.Context(), wants(t, family), Request{})
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
		newer := wants(t, strings.Replace(family, c.old, c.new, 1))
		var unwanted []string
		for _, b := range was.builds {
			if !b.wantedBy(newer) {
				unwanted = append(unwanted, b.want.Name)
			}
		}
		if got := strings.Join(unwanted, " "); got != c.unwanted {
			t.Errorf("%s: %q are not wanted any more, instead of %q", c.what, got, c.unwanted)
		}
	}
}

// A revision that came while the base was built keeps its child from being
// begun, and stops the others.
func TestSupersede(t *testing.T) {
	j, err := newShop(t).Look(t.Context(), wants(t, family), Request{})
	if err != nil {
		t.Fatal(err)
	}
	kiosk := j.build("kiosk")
	running, err := j.halt.begin(t.Context(), kiosk)
	if err != nil {
		t.Fatal(err)
	}
	j.Supersede(wants(t, strings.Replace(family, "echo desktop", "echo other", 1)))
	if running.Err() != nil {
		t.Error("a build that is still wanted is stopped")
	}
	if _, err := j.halt.begin(t.Context(), j.build("desktop")); !errors.Is(err, ErrSuperseded) {
		t.Errorf("a build that is not wanted begins: %v", err)
	}
	j.Supersede(wants(t, strings.Replace(family, "echo kiosk", "echo other", 1)))
	if cause := context.Cause(running); !errors.Is(cause, ErrSuperseded) {
		t.Errorf("a build that is not wanted runs on: %v", cause)
	}
	j.halt.end(kiosk)
}

// What is being published is stopped by a revision that changes something for
// this machine, and by no other.
func TestSupersedePush(t *testing.T) {
	for what, c := range map[string]struct {
		config string
		stops  bool
	}{
		"the same": {family, false},
		"another":  {strings.Replace(family, "quiet", "debug", 1), true},
	} {
		j, err := newShop(t).Look(t.Context(), wants(t, family), Request{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := j.halt.pushing(t.Context())
		j.Supersede(wants(t, c.config))
		if stopped := errors.Is(context.Cause(ctx), ErrSuperseded); stopped != c.stops {
			t.Errorf("%s: stopped is %t", what, stopped)
		}
		end()
	}
}
