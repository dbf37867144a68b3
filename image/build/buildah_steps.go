package build

import (
	"regexp"

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
}

var (
	// stepLine begins with the stage where there are several.
	stepLine  = regexp.MustCompile(`^(?:\[\d+/\d+\] )?STEP \d+/\d+: (.*)$`)
	cacheLine = regexp.MustCompile(`^--> Using cache ([0-9a-f]{64})$`)
)

func (r *stepReader) line(line string) {
	if m := stepLine.FindStringSubmatch(line); m != nil {
		if word, _ := cutWord(m[1]); word != "FROM" {
			r.step++
			r.task.Step(r.step, r.steps, m[1])
		}
		return
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
// base not counted; 0 if it cannot be said.
func countSteps(containerfile []byte) (n int) {
	instructions, err := parse("Containerfile", string(containerfile))
	if err != nil {
		return 0
	}
	begun := false
	for _, i := range instructions {
		switch {
		case i.keyword == "FROM":
			begun = true
		case begun && i.keyword != "":
			n++
		}
	}
	return n
}
