package kind

import (
	"fmt"
	"strings"
	"testing"
)

// What a built-in says of itself is complete, and no settings at all are
// checked without a panic.
func TestBuiltins(t *testing.T) {
	last := ""
	for _, h := range Helps() {
		if h.Name <= last || h.Summary == "" || h.Text == "" || strings.Contains(h.Summary, "\n") {
			t.Errorf("help of %q", h.Name)
		}
		last = h.Name
		b, ok := New(h.Name)
		name, settings, err := b.One()
		if !ok || name != h.Name || err != nil {
			t.Fatalf("New(%q): %q, %v", h.Name, name, err)
		}
		for _, line := range strings.Split(h.Text, "\n") {
			if len([]rune(line)) > 84 {
				t.Errorf("help of %q is too wide: %s", h.Name, line)
			}
		}
		settings.Check()
		settings.Complete(Machine{Name: "m"})
		settings.Check()
		settings.Paths("h")
	}
	if _, ok := New("nope"); ok {
		t.Error("there is a built-in that there is not")
	}
}

func TestConflicts(t *testing.T) {
	file := func(name string, paths ...string) Hook {
		h := Hook{Name: name}
		for _, p := range paths {
			h.Files = append(h.Files, File{Path: p})
		}
		return h
	}
	for _, c := range []struct {
		hooks []Hook
		want  string
	}{
		{[]Hook{file("a", "/x", "/y"), file("b", "/x")}, "[]"},
		{[]Hook{file("a", "/x", "/x")}, "[is declared twice]"},
		{[]Hook{file("a", "/x", "/x/y")}, "[needs /x to be a directory for /x/y and to be none]"},
		{[]Hook{file("a", "/x/y/z"), file("b", "/x")}, `[needs /x to be a directory for /x/y/z and to be none, as hook "a" has it]`},
		{[]Hook{file("a", "/x/y/z"), {Name: "b", Removes: []string{"/x"}, Files: []File{{Path: "/x"}}}}, "[]"},
		{[]Hook{file("a", "/x"), {Name: "b", Removes: []string{"/x"}, Dirs: []Dir{{Path: "/x"}}}}, "[]"},
		{[]Hook{file("a", "/x"), {Name: "b", Dirs: []Dir{{Path: "/x"}}}}, `[needs /x to be a directory and to be none, as hook "a" has it]`},
		{[]Hook{{Name: "b", Dirs: []Dir{{Path: "/x"}}}, file("a", "/x/y")}, "[]"},
		{[]Hook{{Name: "b", Builtin: &Builtin{Fstab: &Fstab{}}}, file("a", "/etc/fstab", "/etc/fstab/x")}, `[needs /etc/fstab to be a directory for /etc/fstab/x and to be none]`},
	} {
		if got := fmt.Sprint(Conflicts(c.hooks)); got != c.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", c.hooks, got, c.want)
		}
	}
}
