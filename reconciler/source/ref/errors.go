package ref

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/internal/plain"
)

// An EmptyError says that the repo has no commit yet.
type EmptyError struct{ URL string }

func (e *EmptyError) Error() string {
	return fmt.Sprintf("reading %s: the repo has no commits; push one (gitboot init writes a config repo to begin with)", e.URL)
}

// An AmbiguousError says that a name is a branch's and a tag's.
type AmbiguousError struct{ URL, Name string }

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("reading %s: %q is a branch and a tag; say which is meant with ref = %q or %q", e.URL, e.Name, branches+e.Name, tags+e.Name)
}

// A TakenError says that what is to be made is there already, and names another commit.
type TakenError struct{ At plumbing.Hash }

func (e *TakenError) Error() string {
	return fmt.Sprintf("the branch is there, at %s; remove it, or leave it", e.At)
}

// A NoneError says that the repo has nothing that is followed.
type NoneError struct {
	URL, What string
	// Remedy is what to do, before what there is.
	Remedy string
	There  []string // names, sorted
}

func (e *NoneError) Error() string {
	return fmt.Sprintf("reading %s: %s; %s: %s", e.URL, e.What, e.Remedy, some(e.There))
}

// none says what there is instead.
func (w Want) none(url string, in Refs) error {
	heads, all := short(in, branches), short(in, tags)
	e := &NoneError{URL: url, Remedy: "choose one of its branches", There: heads}
	name, isBranch := strings.CutPrefix(w.text, branches)
	switch {
	case w.text == "":
		e.What = "its HEAD names a branch that is not there"
	case w.Versions():
		e.What, e.Remedy, e.There = fmt.Sprintf("no tag within %q", w.text), "its tags are", all
	case isBranch && slices.Contains(all, name):
		e.What, e.Remedy = fmt.Sprintf("%q is a tag, and a branch is followed", name), fmt.Sprintf("follow the tag with ref = %q, or choose one of its branches", name)
	case isBranch:
		e.What = fmt.Sprintf("no branch %q", name)
	case strings.HasPrefix(w.text, tags):
		e.What, e.Remedy, e.There = fmt.Sprintf("no tag %q", strings.TrimPrefix(w.text, tags)), "its tags are", all
	default:
		e.What = fmt.Sprintf("no branch or tag %q", w.text)
	}
	return e
}

func short(in Refs, prefix string) (names []string) {
	for name := range in.Names {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			names = append(names, plain.Line(rest))
		}
	}
	slices.Sort(names)
	return names
}

// some lists names, but not all of a server that has endlessly many.
func some(names []string) string {
	const shown = 50
	switch more := len(names) - shown; {
	case len(names) == 0:
		return "(none)"
	case more > 0:
		return fmt.Sprintf("%s, and %d more", strings.Join(names[:shown], ", "), more)
	}
	return strings.Join(names, ", ")
}
