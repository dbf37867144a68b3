package state

import "testing"

// What a run that was cut has left there is nobody else's, nor is what is not known.
func TestForeign(t *testing.T) {
	w := &Written{Sums: map[string]string{"menu": "new", "link": "new", "block": "a"}, Before: map[string]string{"menu": "old", "link": ""}}
	for what, c := range map[string]struct {
		of        *Written
		name, sum string
		want      bool
	}{
		"as it was written": {w, "menu", "new", false}, "as it was before": {w, "menu", "old", false}, "another": {w, "menu", "x", true}, "gone": {w, "menu", "", true},
		"not there yet": {w, "link", "", false}, "there before": {w, "block", "a", false}, "gone since": {w, "block", "", true},
		"settled": {w.Settled(), "menu", "old", true}, "of another place": {w, "other", "x", false}, "of an older gitboot": {nil, "menu", "x", false},
	} {
		if got := c.of.Foreign(c.name, c.sum); got != c.want {
			t.Errorf("%s: %t", what, got)
		}
	}
}
