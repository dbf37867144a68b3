package image

import (
	"strings"
	"testing"
)

func TestPinned(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for ref, want := range map[string]string{
		"golang:1.26":                "docker.io/library/golang:1.26",
		"docker.io/golang":           "docker.io/library/golang:latest",
		"r.lan:5000/x/y:1":           "r.lan:5000/x/y:1",
		"r.lan/x@" + digest:          "r.lan/x",
		"localhost:5000/x:1":         "localhost:5000/x:1",
		"ghcr.io/a/b:v1.2@" + digest: "ghcr.io/a/b",
		"ghcr.io/a/b:~1.2":           "ghcr.io/a/b",
		"golang:>=1.26,<2":           "docker.io/library/golang",
	} {
		if got, err := Pinned(ref, digest); err != nil || got != want+"@"+digest {
			t.Errorf("%s: %s, %v", ref, got, err)
		}
	}
	if _, err := Pinned("Upper/x", digest); err == nil {
		t.Error("no error")
	}
}
