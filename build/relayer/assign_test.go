package relayer

import (
	"fmt"
	"testing"
)

func groupsOf(n int) (groups []Group) {
	for i := range n {
		groups = append(groups, Group{Name: fmt.Sprintf("package-%d", i), Version: "1", Size: int64(i) * 100_000})
	}
	return groups
}

func kind(layer int) string {
	switch {
	case layer < 0 || layer >= highest:
		return "none"
	case layer < alone:
		return "alone"
	case layer < alone+changing:
		return "changing"
	}
	return "steady"
}

func TestWhereAGroupBegins(t *testing.T) {
	for _, c := range []struct {
		group Group
		want  string
	}{
		{Group{"bash", "5.2", 7e6}, "steady"},
		{Group{"openssl", "libssl3:amd64=3.0.11-1~deb12u2", 7e6}, "changing"},
		{Group{"linux-signed-amd64", "6.1", 7e6}, "changing"},
		{Group{"/usr/lib", "", 1e6}, "changing"},
		{Group{"libreoffice", "7", 300e6}, "alone"},
	} {
		if got := kind(Assign([]Group{c.group}, nil)[c.group.Name].Layer); got != c.want {
			t.Errorf("%s: %s, want %s", c.group.Name, got, c.want)
		}
	}
}

// Whatever comes, goes or changes, all others stay.
func TestOthersStay(t *testing.T) {
	groups := groupsOf(300)
	before := Assign(groups, nil)
	used := map[int]bool{}
	for name, p := range before {
		if used[p.Layer] = true; kind(p.Layer) == "none" {
			t.Errorf("%s is in layer %d", name, p.Layer)
		}
	}
	if len(used) != alone+steady {
		t.Errorf("%d layers are used", len(used))
	}
	for what, change := range map[string]func([]Group) []Group{
		"nothing":         func(g []Group) []Group { return g },
		"one is gone":     func(g []Group) []Group { return g[:len(g)-1] },
		"one is new":      func(g []Group) []Group { return append(g, Group{"new", "1", 500e6}) },
		"one has changed": func(g []Group) []Group { g[7].Version = "2"; return g },
		"one has grown":   func(g []Group) []Group { g[8].Version, g[8].Size = "2", 900e6; return g },
		"all have grown": func(g []Group) []Group {
			for i := range g {
				g[i].Size *= 10
			}
			return g
		},
	} {
		after := Assign(change(groupsOf(300)), before)
		for name, p := range after {
			if was, ok := before[name]; ok && p.Version == was.Version && p != was {
				t.Errorf("%s: %s went from %v to %v", what, name, was, p)
			}
		}
	}
}

func TestWhatChangesGoesToItsLike(t *testing.T) {
	groups := groupsOf(20)
	first := Assign(groups, nil)
	groups[3].Version = "2"
	second := Assign(groups, first)
	if p := second["package-3"]; kind(first["package-3"].Layer) != "steady" || kind(p.Layer) != "changing" || p.Changes != 1 {
		t.Errorf("%v", p)
	}
	groups[3].Version = "3"
	third := Assign(groups, second)
	if p := third["package-3"]; p.Layer != second["package-3"].Layer || p.Changes != 2 {
		t.Errorf("%v", p)
	}
	// A memory of another kind, or a damaged one, names no layer that is not there.
	for name, p := range Assign(groups, map[string]Place{"package-3": {Layer: 99}, "package-4": {Layer: -1}, "package-5": {Layer: highest}}) {
		if kind(p.Layer) == "none" {
			t.Errorf("%s is in layer %d", name, p.Layer)
		}
	}
}
