package presence

import (
	"slices"
	"strings"
	"testing"
)

// As coreutils' and busybox' who print them. What the login manager says is tested
// where one runs, with the packages.
func TestUsers(t *testing.T) {
	text := "ada      tty1         2026-05-01 10:00\nada      pts/0        2026-05-01 10:01 (192.0.2.1)\n\nbob\x1b[2J  pts/1        May  1 10:01 192.0.2.2\n"
	if got, want := ordered(users(text)), []string{"the session of ada", "the session of bob"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := users(strings.Repeat("ada tty1\n", 1000)); len(got) != most {
		t.Errorf("%d are named", len(got))
	}
}
