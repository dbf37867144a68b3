package state_test

import (
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/state"
)

// Only a machine that runs what is good, or of which nothing is known, and did not
// fall back, has come up as it should.
func TestUnproven(t *testing.T) {
	verdicts := state.Verdicts{"good": {State: boot.Good}, "trying": {State: boot.Trying}, "bad": {State: boot.Bad, Reason: "no init"}}
	for _, c := range []struct{ restarted, booted, want string }{
		{"", "", ""},
		{"", "good", ""},
		{"good", "good", ""},
		{"unknown", "unknown", ""},
		{"trying", "trying", "what runs is still on trial"},
		{"bad", "good", "what the machine was restarted for is bad: no init"},
		{"bad", "", "what the machine was restarted for is bad: no init"},
		{"good", "unknown", ""}, // somebody has chosen another entry
	} {
		if got := verdicts.Unproven(c.booted, c.restarted); got != c.want {
			t.Errorf("restarted for %q, running %q: %q", c.restarted, c.booted, got)
		}
	}
}
