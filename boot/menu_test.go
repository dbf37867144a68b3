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

func TestCounted(t *testing.T) {
	entries := []Entry{{ID: "gitboot-a-2"}, {ID: "gitboot-a-1"}}
	m := Menu{Stage: Filesystem{UUID: "1234-ABCD", Path: "/gitboot"}, Mode: ModeManaged, Default: entries[0].ID, Images: []MenuImage{{Name: "a", Entries: entries}}}
	for name, c := range map[string]struct {
		mode, fallback string
		tries          int
		want           bool
	}{
		"not counted":        {ModeManaged, "", 0, true},
		"an older one":       {ModeManaged, entries[1].ID, 3, true},
		"the distribution's": {ModeManaged, "", MaxTries, true},
		"itself":             {ModeManaged, entries[0].ID, 3, false},
		"none of the menu":   {ModeManaged, "gitboot-b-1", 3, false},
		"two digits":         {ModeManaged, entries[1].ID, MaxTries + 1, false},
		"the default is not": {ModeMenu, entries[1].ID, 3, false},
	} {
		m.Mode, m.Fallback, m.Tries = c.mode, c.fallback, c.tries
		if err := m.Check(); (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
