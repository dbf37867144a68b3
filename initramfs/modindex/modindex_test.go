package modindex

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sample() *Index {
	return &Index{
		Dir:     "/lib/modules/6.1.0",
		BuiltIn: []string{"loop"},
		Modules: []Module{
			{Path: "kernel/fs/jbd2/jbd2.ko"},
			{Path: "kernel/fs/ext4/ext4.ko", Before: []int{0}},
			{Path: "kernel/drivers/usb-storage.ko", Before: []int{0, 1}, After: []int{1}},
		},
		Aliases: []Alias{{1, "virtio:d00000002v*"}, {2, "usb:v*p*ic08isc06ip[5-6]?in*"}, {2, "with space:*"}},
	}
}

func TestRoundTrip(t *testing.T) {
	got, err := Parse(string(sample().Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample(), got); d != "" {
		t.Error(d)
	}
}

func TestFind(t *testing.T) {
	x := sample()
	if x.Find("usb_storage") != 2 || x.Find("nosuch") != -1 || !x.Has("loop") || x.Has("ext4") {
		t.Error("modules are not found by their kernel's names")
	}
	if d := cmp.Diff([]int{2}, x.Match("usb:v1p2ic08isc06ip50in00")); d != "" {
		t.Error(d)
	}
	if x.Match("usb:v1p2ic08isc06ip70in00") != nil {
		t.Error("a set matches what isn't in it")
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"*", "", true}, {"a*b*c", "axxbyyc", true}, {"a*b*c", "axxbyy", false},
		{"a?c", "abc", true}, {"a?c", "ac", false}, {"[0-9A]x", "Ax", true}, {"[0-9A]x", "Bx", false},
		{"[", "[", false}, {"[a", "a", false}, {"*[a]*", "xxaxx", true}, {"pci:v*sv*", "pci:v00001AF4sv0", true},
	} {
		if glob(c.pattern, c.s) != c.want {
			t.Errorf("glob(%q, %q) is not %v", c.pattern, c.s, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "other 1\n", header + "\n", header + "\nd relative\n", header + "\nd /x\nz what\n",
		header + "\nd /x\nm ../up.ko - -\n", header + "\nd /x\nm a.ko 1 -\n", header + "\nd /x\nm a.ko x -\n",
		header + "\nd /x\nm a.ko -\n", header + "\nd /x\na 0 pci:*\n", header + "\nd /x\nm a.ko - -1\n",
	} {
		if x, err := Parse(text); err == nil {
			t.Errorf("%q was taken as %+v", text, x)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string(sample().Encode()), "virtio:d00000002v1")
	f.Add(header+"\nd /x\nm a.ko - 0\na 0 [a-\n", "a")
	f.Fuzz(func(t *testing.T, text, alias string) {
		x, err := Parse(text)
		if err != nil {
			return
		}
		for _, n := range x.Match(alias) {
			if n < 0 || n >= len(x.Modules) {
				t.Errorf("match gives module %d", n)
			}
		}
		for _, m := range x.Modules {
			if strings.Contains("/"+m.Path+"/", "/../") {
				t.Errorf("path %q leaves its folder", m.Path)
			}
		}
		again, err := Parse(string(x.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(x, again); d != "" {
			t.Error(d)
		}
	})
}
