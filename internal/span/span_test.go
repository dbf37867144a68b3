package span

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "12h": 12 * time.Hour, "3d": 72 * time.Hour, "1w": 168 * time.Hour,
		"1w2d12h": (168 + 48 + 12) * time.Hour, "1d30s": 24*time.Hour + 30*time.Second, "0d1h": time.Hour,
	} {
		if got, err := Parse(s); err != nil || got != want {
			t.Errorf("%q is %s, %v; want %s", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "3", "d", "3 days", "-3d", "-1h", "0s", "0d", "0", "1d-1h", "1d-48h", "1.5d", "1h3d", "999999999w", "99999d99999w", "106751d2562047h", "3d\n", "٣d",
	} {
		if got, err := Parse(s); err == nil {
			t.Errorf("%q is %s", s, got)
		}
	}
}
