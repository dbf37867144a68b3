package trust

import (
	"testing"
	"time"
)

func TestValidAt(t *testing.T) {
	day := func(s string) time.Time {
		at, err := parseSignerTime(s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	in := day("20260102Z")
	for _, c := range []struct {
		s    signer
		at   time.Time
		want bool
	}{
		{signer{}, in, true},
		{signer{}, time.Unix(0, 0), true},
		{signer{before: day("20260103Z")}, in, true},
		{signer{before: day("20260102Z")}, in, false},
		{signer{after: day("20260102Z")}, in, true},
		{signer{after: day("20260103Z")}, in, false},
		{signer{before: day("20260103Z")}, time.Unix(0, 0), false},
		{signer{before: day("20260103Z")}, time.Time{}, false},
	} {
		if got := c.s.validAt(c.at); got != c.want {
			t.Errorf("%v to %v at %v: %v", c.s.after, c.s.before, c.at, got)
		}
	}
}

func FuzzSigner(f *testing.F) {
	f.Add(`ada namespaces="git",valid-after="20260101Z" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIbp0qhCtVZWBBBaBBBBBBBBBBBBBBBBBBBBBBBBBBBB`)
	f.Add(`"a b" ssh-ed25519`)
	f.Fuzz(func(t *testing.T, line string) {
		if s, _, err := parseSigner(line); err == nil && s.key == nil {
			t.Errorf("%q gives no key", line)
		}
	})
}
