package speaker

import (
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
)

func TestLog(t *testing.T) {
	now := time.Now()
	vertex := func(name string, cached bool) *client.Vertex {
		return &client.Vertex{Digest: digest.FromString(name), Name: name, Started: &now, Cached: cached}
	}
	said := func(name, text string) *client.SolveStatus {
		return &client.SolveStatus{Logs: []*client.VertexLog{{Vertex: digest.FromString(name), Data: []byte(text)}}}
	}
	const a, b = "[a 1/2] RUN a\x1b[31m", "[b 2/2] RUN b"
	var out strings.Builder
	l := &statusLog{out: &out, steps: 3}
	for _, s := range []*client.SolveStatus{
		{Vertexes: []*client.Vertex{vertex("[internal] load build context", false), {Name: "[a 1/3] RUN not yet"}}},
		{Vertexes: []*client.Vertex{vertex("[1/2] FROM docker.io/x", false), vertex(a, false)}},
		{Vertexes: []*client.Vertex{vertex(a, false), vertex(b, false)}},
		said(a, "half a line"), said(b, "b\n"), said("[internal] load build context", "unseen"), said(a, "whole\n"),
		{Vertexes: []*client.Vertex{vertex("[c 1/1] COPY c d", true)}},
	} {
		l.show(s)
	}
	want := `FROM docker.io/x
STEP 1/3: RUN a
STEP 2/3: RUN b
--> of STEP 1/3: RUN a
half a line
--> of STEP 2/3: RUN b
b
--> of STEP 1/3: RUN a
whole
STEP 3/3: COPY c d
--> Using cache ` + digest.FromString("[c 1/1] COPY c d").Encoded() + "\n"
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestTidy(t *testing.T) {
	for text, want := range map[string]string{
		"failed to solve: process \"x\" did not complete successfully: exit code: 3":                       "process \"x\" did not complete successfully: exit code: 3",
		`failed to call info: Unavailable: connection error: desc = "transport: authentication failed: x"`: "authentication failed: x",
	} {
		if got := tidy(errText(text)).Error(); got != want {
			t.Errorf("%q", got)
		}
	}
}

type errText string

func (e errText) Error() string { return string(e) }
