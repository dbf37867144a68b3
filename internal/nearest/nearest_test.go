package nearest

import "testing"

func TestHint(t *testing.T) {
	known := []string{"desktop", "laptop", "router", "fstab"}
	for name, want := range map[string]string{
		"destkop": ` (did you mean "desktop"?)`, "lapto": ` (did you mean "laptop"?)`, "fstba": ` (did you mean "fstab"?)`,
		"router": ` (did you mean "router"?)`, "phone": "", "": "",
	} {
		if got := Hint(name, known); got != want {
			t.Errorf("Hint(%q) = %q, not %q", name, got, want)
		}
	}
}
