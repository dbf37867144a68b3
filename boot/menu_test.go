package boot

import (
	"strings"
	"testing"
)

func TestEntryID(t *testing.T) {
	if a, b := EntryID("a_b", "1"), EntryID("a b", "1"); a == b {
		t.Errorf("two images have the id %s", a)
	}
	if got := EntryID("x>y", strings.Repeat("f", 64)); got != "gitboot-x_3ey-ffffffffffffffff" {
		t.Errorf("id is %s", got)
	}
}

func TestChoose(t *testing.T) {
	m := Menu{Images: []MenuImage{
		{Name: "a", Entries: []Entry{{ID: "a2"}, {ID: "a1"}}},
		{Name: "b", Entries: []Entry{{ID: "b1"}}},
	}}
	for chosen, want := range map[string]string{"": "a2", "a1": "a1", "b1": "b1", "gone": "a2"} {
		if m.Choose(chosen); m.Default != want {
			t.Errorf("of %q comes %q, want %q", chosen, m.Default, want)
		}
	}
	m.Images = m.Images[1:]
	if m.Choose("a1"); m.Default != "b1" {
		t.Errorf("without its image the chosen entry gives %q, want b1", m.Default)
	}
	m.Images = nil
	if m.Choose("a1"); m.Default != "" {
		t.Errorf("an empty menu has the default %q", m.Default)
	}
}
