package deployment

import (
	"strings"
	"testing"
	"time"
)

// What a kernel left belongs to the boot that had begun as long before as its log says.
func TestCrashOf(t *testing.T) {
	began := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	id := func(c string) string { return c + bootID[1:] }
	boots := []Boot{{ID: id("3"), Started: began.Add(3 * time.Hour)}, {ID: id("2"), Started: began.Add(2 * time.Hour)}, {ID: id("1"), Started: began}}
	const text = "[   12.000000] fine\n[ 3600.500000] Kernel panic - not syncing: x\nno stamp\n"
	for what, c := range map[string]struct {
		at   time.Time
		text string
		want string
	}{
		"of the newest":         {began.Add(3 * time.Hour), text, id("2")},
		"of an older":           {began.Add(time.Hour), text, id("1")},
		"with a clock set late": {began.Add(time.Hour + 9*time.Minute), text, id("1")},
		"of a boot unknown":     {began.Add(90 * time.Minute), text, ""},
		"of no known time":      {time.Time{}, text, id("2")},
		"with no stamps":        {began.Add(2*time.Hour + time.Minute), "x", id("2")},
	} {
		b, ok := Crash{At: c.at, Text: c.text}.Of(boots, id("3"))
		if ok != (c.want != "") || b.ID != c.want {
			t.Errorf("%s: it is of %q", what, b.ID)
		}
		if !ok && !b.Started.Equal(began.Add(30*time.Minute).Truncate(time.Second).Add(-time.Second)) {
			t.Errorf("%s: it began at %v", what, b.Started)
		}
	}
	if _, ok := (Crash{At: began, Text: text}).Of(boots[:1], id("3")); ok {
		t.Error("it is of the boot that runs")
	}
}

func TestEnding(t *testing.T) {
	for crash, want := range map[string]string{
		"": "",
		"[    1.0] BUG: kernel NULL pointer dereference\n[    1.1] Kernel panic - not syncing: Fatal exception\n": "Kernel panic - not syncing: Fatal exception",
		"[    1.0] BUG: a\n[    1.1] Oops: b\n":                                     "BUG: a",
		"[    1.0] fine\n[    1.1] init: Kernel panic\n":                            "",
		"[    1.0] Kernel panic - not syncing: " + strings.Repeat("x", 1000) + "\n": "Kernel panic - not syncing: " + strings.Repeat("x", maxShort-len(endings[0])),
	} {
		if got := Ending(crash); got != want {
			t.Errorf("%q: %q", crash, got)
		}
	}
}
