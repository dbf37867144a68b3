package workshop

import (
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/spec"
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

// How a registry is reached does not decide what is published there; all else
// does.
func TestPublicationKey(t *testing.T) {
	base := func() publication {
		return publication{Push: spec.Push{Ref: "r.lan/desktop:1", Compression: "zstd"}, Tag: "1-x", Labels: map[string]string{"a": "1"}, Image: "i", Config: "c"}
	}
	key := base().key()
	for what, change := range map[string]func(*publication){
		"ref":         func(p *publication) { p.Ref = "r.lan/desktop:2" },
		"compression": func(p *publication) { p.Compression = "gzip" },
		"tag":         func(p *publication) { p.Tag = "1-y" },
		"label":       func(p *publication) { p.Labels["a"] = "2" },
		"layers":      func(p *publication) { p.Image = "j" },
		"config":      func(p *publication) { p.Config = "d" },
	} {
		p := base()
		if change(&p); p.key() == key {
			t.Errorf("another %s is the same", what)
		}
	}
	p := base()
	if p.Insecure, p.CredentialsFile = true, "/x"; p.key() != key {
		t.Error("another way there is another publication")
	}
}
