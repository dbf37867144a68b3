package conflict

import (
	"fmt"
	"testing"

	"github.com/gitboot/gitboot/hooks/kind"
)

func TestConflicts(t *testing.T) {
	file := func(name string, paths ...string) kind.Hook {
		h := kind.Hook{Name: name}
		for _, p := range paths {
			h.Files = append(h.Files, kind.File{Path: p})
		}
		return h
	}
	for _, c := range []struct {
		hooks []kind.Hook
		want  string
	}{
		{[]kind.Hook{file("a", "/x", "/y"), file("b", "/x")}, "[]"},
		{[]kind.Hook{file("a", "/x", "/x")}, "[is declared twice]"},
		{[]kind.Hook{file("a", "/x", "/x/y")}, "[needs /x to be a directory for /x/y and to be none]"},
		{[]kind.Hook{file("a", "/x/y/z"), file("b", "/x")}, `[needs /x to be a directory for /x/y/z and to be none, as hook "a" has it]`},
		{[]kind.Hook{file("a", "/x/y/z"), {Name: "b", Removes: []string{"/x"}, Files: []kind.File{{Path: "/x"}}}}, "[]"},
		{[]kind.Hook{file("a", "/x"), {Name: "b", Removes: []string{"/x"}, Dirs: []kind.Dir{{Path: "/x"}}}}, "[]"},
		{[]kind.Hook{file("a", "/x"), {Name: "b", Dirs: []kind.Dir{{Path: "/x"}}}}, `[needs /x to be a directory and to be none, as hook "a" has it]`},
		{[]kind.Hook{{Name: "b", Dirs: []kind.Dir{{Path: "/x"}}}, file("a", "/x/y")}, "[]"},
		{[]kind.Hook{{Name: "b", Builtin: &kind.Builtin{Fstab: &kind.Fstab{}}}, file("a", "/etc/fstab", "/etc/fstab/x")}, `[needs /etc/fstab to be a directory for /etc/fstab/x and to be none]`},
	} {
		if got := fmt.Sprint(Find(c.hooks)); got != c.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", c.hooks, got, c.want)
		}
	}
}
