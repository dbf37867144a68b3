package workshop

import (
	"strings"
	"testing"
	"time"
)

func TestDatedTag(t *testing.T) {
	at := time.Date(2026, 11, 21, 4, 0, 12, 0, time.FixedZone("", 3600))
	long := strings.Repeat("x", 128)
	for ref, want := range map[string]string{
		"r.lan:5000/desktop:nightly": "nightly-20261121T030012Z",
		"r.lan/desktop:" + long:      long[:111] + "-20261121T030012Z",
	} {
		if got := datedTag(ref, at); got != want {
			t.Errorf("%s: %s", ref, got)
		}
	}
}

func TestPublicURL(t *testing.T) {
	for address, want := range map[string]string{
		"https://ada:secret@git.example/fleet.git?x=y": "https://git.example/fleet.git",
		"ssh://git@git.example/fleet":                  "ssh://git.example/fleet",
		"git@git.example:fleet":                        "",
		"/srv/fleet":                                   "",
		"file:///srv/fleet":                            "",
	} {
		if got := publicURL(address); got != want {
			t.Errorf("%s: %q", address, got)
		}
	}
}
