package ref

import (
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// IsTag reports whether a ref is a tag of a name that one of patterns means: * and ?
// match anything but a slash.
func IsTag(name string, patterns []string) bool {
	tag, ok := strings.CutPrefix(name, tags)
	return ok && slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, tag)
		return ok && err == nil
	})
}

// Tagged are the tags of a commit whose names one of patterns means, by their names.
func (in Refs) Tagged(of plumbing.Hash, patterns []string) (found []Chosen) {
	for name, object := range in.Names {
		c := Chosen{Name: name, Object: object, Commit: object}
		if peeled, ok := in.Peeled[name]; ok {
			c.Commit = peeled
		}
		if c.Commit == of && IsTag(name, patterns) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b Chosen) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// Short is a tag's name without what all tags begin with.
func (c Chosen) Short() string { return strings.TrimPrefix(c.Name, tags) }
