// Package ref decides which of a repo's refs is followed: what its HEAD names, a
// branch, a tag, or the highest tag within a constraint on versions.
package ref

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/internal/version"
)

const (
	branches = "refs/heads/"
	tags     = "refs/tags/"
)

// A Want says what is followed. The zero value is the repo's HEAD.
type Want struct {
	text string
	// prefix is what the tags begin with that a constraint is on.
	prefix string
	within *version.Constraint
	commit plumbing.Hash
}

// Commit wants one commit, whatever ref it is below.
func Commit(hash plumbing.Hash) Want { return Want{text: hash.String(), commit: hash} }

// Parse reads what agent.toml says: a branch or a tag by its name or in full
// (refs/tags/v1), or a constraint on tags (~1.4, laptop/v1.*), which has a
// character that is in no name.
func Parse(text string) (Want, error) {
	if text == "" || text == "HEAD" {
		return Want{}, nil
	}
	name := text
	if !strings.HasPrefix(text, "refs/") {
		slash := strings.LastIndexByte(text, '/') + 1
		if last := text[slash:]; version.IsConstraint(last) {
			within, err := version.Parse(last)
			if err != nil {
				return Want{}, err
			}
			return Want{text: text, prefix: text[:slash], within: &within}, nil
		}
		name = branches + text
	}
	if err := plumbing.ReferenceName(name).Validate(); err != nil || strings.HasPrefix(text, "-") {
		return Want{}, fmt.Errorf("%.100q is no name that git allows; write a branch, a tag, or a constraint such as v1.*", text)
	}
	return Want{text: text}, nil
}

func (w Want) String() string { return w.text }

// Versions reports whether versions are followed, which are ordered whatever the
// history says.
func (w Want) Versions() bool { return w.within != nil }

// Names are the refs that may be meant, nil for any tag.
func (w Want) Names() []string {
	switch {
	case w.Versions():
		return nil
	case w.text == "":
		return []string{"HEAD"}
	case strings.HasPrefix(w.text, "refs/"):
		return []string{w.text}
	}
	return []string{branches + w.text, tags + w.text}
}

// Higher reports whether one ref is of a higher version than another.
func (w Want) Higher(name, than string) bool {
	own := tags + w.prefix
	name, is := strings.CutPrefix(name, own)
	than, was := strings.CutPrefix(than, own)
	return w.Versions() && is && was && version.Higher(name, than)
}

// Refs are a repo's, by their full names, HEAD among them. Peeled are the commits
// of annotated tags, as far as the repo tells.
type Refs struct{ Names, Peeled map[string]plumbing.Hash }

// A Chosen is what is followed now.
type Chosen struct {
	Name string // of the ref in full, or HEAD
	// Object is what the ref names, and Commit that, or what it is a tag of.
	Object, Commit plumbing.Hash
}

// Tag reports whether the ref names an annotated tag.
func (c Chosen) Tag() bool { return c.Object != c.Commit }

// Choose finds what is followed, or why there is nothing.
func (w Want) Choose(url string, in Refs) (Chosen, error) {
	if !w.commit.IsZero() {
		return Chosen{Name: w.text, Object: w.commit, Commit: w.commit}, nil
	}
	found := w.find(in)
	switch {
	case len(found) == 1:
		c := Chosen{Name: found[0], Object: in.Names[found[0]], Commit: in.Names[found[0]]}
		if peeled, ok := in.Peeled[c.Name]; ok {
			c.Commit = peeled
		}
		return c, nil
	case len(found) > 1:
		return Chosen{}, &AmbiguousError{URL: url, Name: w.text}
	case len(in.Names) == 0:
		return Chosen{}, &EmptyError{URL: url}
	}
	return Chosen{}, w.none(url, in)
}

func (w Want) find(in Refs) (found []string) {
	if !w.Versions() {
		return slices.DeleteFunc(w.Names(), func(name string) bool { _, ok := in.Names[name]; return !ok })
	}
	choice := w.within.Choose()
	for name := range in.Names {
		if tag, ok := strings.CutPrefix(name, tags+w.prefix); ok {
			choice.Add(tag)
		}
	}
	if choice.Name() == "" {
		return nil
	}
	return []string{tags + w.prefix + choice.Name()}
}
