package speaker

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"

	"github.com/gitboot/gitboot/internal/plain"
)

// A statusLog writes what a builder tells of a build in the form that buildah
// prints: a line for each step as it begins, and what it prints as it is.
type statusLog struct {
	out   io.Writer
	steps int // of the whole Containerfile

	shown   map[digest.Digest]*shownVertex
	current *shownVertex // whose output was written last
	open    bool         // its last line has no end yet
	begun   int
}

// A shownVertex is one node of the builder's graph: a step, or work around it.
type shownVertex struct {
	head   string // "" for the builder's own work
	cached bool
}

// stepName is "[stage 2/5] RUN …"; the stage is left out where there is one.
var stepName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\[(?:\S+ +)?\d+/\d+\] (.*)$`) })

func (l *statusLog) show(s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		l.vertex(v)
	}
	for _, line := range s.Logs {
		l.output(l.shown[line.Vertex], line.Data)
	}
}

func (l *statusLog) vertex(v *client.Vertex) {
	m := stepName().FindStringSubmatch(v.Name)
	if v.Started == nil || m == nil {
		return
	}
	if l.shown == nil {
		l.shown = map[digest.Digest]*shownVertex{}
	}
	shown := l.shown[v.Digest]
	if shown == nil {
		shown = l.begin(plain.Line(m[1]))
		l.shown[v.Digest] = shown
	}
	if v.Cached && !shown.cached {
		shown.cached = true
		l.turn(shown)
		fmt.Fprintln(l.out, "--> Using cache", v.Digest.Encoded())
	}
}

// begin shows a step that begins.
func (l *statusLog) begin(instruction string) *shownVertex {
	shown := &shownVertex{head: instruction}
	if !strings.HasPrefix(instruction, "FROM ") {
		l.begun++
		shown.head = fmt.Sprintf("STEP %d/%d: %s", l.begun, max(l.begun, l.steps), instruction)
	}
	l.line(shown.head)
	l.current = shown
	return shown
}

// line writes a line of its own.
func (l *statusLog) line(text string) {
	if l.open {
		text = "\n" + text
	}
	l.open = false
	fmt.Fprintln(l.out, text)
}

// turn says whose output follows, if that has changed: steps that do not need
// each other are executed side by side.
func (l *statusLog) turn(to *shownVertex) {
	if to != l.current {
		l.line("--> of " + to.head)
		l.current = to
	}
}

func (l *statusLog) output(from *shownVertex, data []byte) {
	if from == nil || len(data) == 0 {
		return
	}
	l.turn(from)
	l.out.Write(data)
	l.open = !bytes.HasSuffix(data, []byte("\n"))
}
