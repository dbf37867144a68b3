package recipe

import (
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/build/containerfile"
)

// leavings are what a stage's settings do to the steps of the next one. A
// fragment's USER ends with it: what follows was not written for that user. Its
// WORKDIR, SHELL and ENV stay, as they do from one image to the next; but a
// SHELL that is none cannot run what gitboot adds.
type leavings struct {
	user  string // "" for root
	shell bool   // what SHELL names understands no shell script
}

func (l *leavings) note(i containerfile.Instruction) {
	switch i.Keyword {
	case "USER":
		l.user = strings.Join(i.Args(), " ")
		if name, _, _ := strings.Cut(l.user, ":"); name == "root" || name == "0" {
			l.user = ""
		}
	case "SHELL":
		var words []string
		_, list, _ := strings.Cut(i.Joined, "[")
		err := json.Unmarshal([]byte("["+list), &words)
		shells := []string{"sh", "bash", "dash", "ash", "ksh", "zsh", "busybox"}
		l.shell = err == nil && len(words) > 0 && !slices.Contains(shells, path.Base(words[0]))
	}
}

// reset is what the next fragment begins with, if anything.
func (l leavings) reset() string {
	if l.user == "" {
		return ""
	}
	return "USER 0:0\n"
}

// script is what a step of gitboot's own begins with, if anything, besides.
func (l leavings) script() string {
	if !l.shell {
		return ""
	}
	return "SHELL [\"/bin/sh\", \"-c\"]\n"
}

// kept is what is left after reset.
func (l leavings) kept() leavings { return leavings{shell: l.shell} }
