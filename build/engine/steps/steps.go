// Package steps follows a build through what its engine prints: buildah's form,
// which gitboot-buildkit prints, too.
package steps

import (
	"regexp"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/build/containerfile"
	"github.com/gitboot/gitboot/internal/progress"
)

// A Reader learns from the lines how far a build is, and which images of its
// cache it has used. What a step prints may look the same: it is only ever
// shown, and makes an image at most look used.
type Reader struct {
	task  *progress.BuildTask
	steps int
	step  int
	used  map[string]bool
}

// NewReader tells task of a build of so many steps; nil to tell nobody.
func NewReader(task *progress.BuildTask, steps int) *Reader {
	return &Reader{task: task, steps: steps, used: map[string]bool{}}
}

// Used are the images that were taken from the cache, by their hex ids.
func (r *Reader) Used() map[string]bool { return r.used }

var (
	// stepLine begins with the stage where there are several.
	stepLine  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:\[\d+/\d+\] )?STEP \d+/\d+: (.*)$`) })
	cacheLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^--> Using cache ([0-9a-f]{64})$`) })
)

// Line takes the next line, without its end.
func (r *Reader) Line(line string) {
	if m := stepLine().FindStringSubmatch(line); m != nil {
		if !strings.HasPrefix(m[1], "FROM ") {
			r.step++
			r.task.Step(r.step, r.steps, m[1])
		}
		return
	}
	if m := cacheLine().FindStringSubmatch(line); m != nil {
		r.used[m[1]] = true
		r.task.Cached()
		return
	}
	if line != "" {
		r.task.Line(line)
	}
}

// Count says how many steps a Containerfile has, those that only name a base not
// counted.
func Count(text []byte) (n int) {
	instructions, _ := containerfile.Parse(string(text))
	begun := false
	for _, i := range instructions {
		switch {
		case i.Keyword == "FROM":
			begun = true
		case begun && i.Keyword != "":
			n++
		}
	}
	return n
}

// CountExecuted says how many of a Containerfile's instructions are nodes of
// BuildKit's graph: the others only change the configuration.
func CountExecuted(text []byte) (n int) {
	instructions, _ := containerfile.Parse(string(text))
	for _, i := range instructions {
		switch i.Keyword {
		case "RUN", "COPY", "ADD", "WORKDIR":
			n++
		}
	}
	return n
}
