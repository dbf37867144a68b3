package engine

import (
	"regexp"
	"strings"

	"github.com/gitboot/gitboot/build/containerfile"
	"github.com/gitboot/gitboot/internal/progress"
)

// A stepReader learns from what buildah prints how far a build is, and which
// images of its cache it has used. What a step prints may look the same: it is
// only ever shown, and makes an image at most look used.
type stepReader struct {
	task  *progress.BuildTask
	steps int // of the whole Containerfile
	step  int
	used  map[string]bool
	// complaint is what buildah says when it could not take mounts away.
	complaint string
}

var (
	// stepLine begins with the stage where there are several.
	stepLine  = regexp.MustCompile(`^(?:\[\d+/\d+\] )?STEP \d+/\d+: (.*)$`)
	cacheLine = regexp.MustCompile(`^--> Using cache ([0-9a-f]{64})$`)
)

func (r *stepReader) line(line string) {
	if m := stepLine.FindStringSubmatch(line); m != nil {
		if !strings.HasPrefix(m[1], "FROM ") {
			r.step++
			r.task.Step(r.step, r.steps, m[1])
		}
		return
	}
	if strings.HasPrefix(line, "time=") && strings.Contains(line, "unable to cleanup run mount") {
		r.complaint = line
	}
	if m := cacheLine.FindStringSubmatch(line); m != nil {
		r.used[m[1]] = true
		r.task.Cached()
		return
	}
	if line != "" {
		r.task.Line(line)
	}
}

// countSteps says how many steps a Containerfile has, those that only name a
// base not counted.
func countSteps(text []byte) (n int) {
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
