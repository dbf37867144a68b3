package kind

import (
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
