// Package version finds the highest of names that are versions, such as a
// repo's or a registry's tags, within a constraint: ~12, ^1.4, v1.*, >=2,<4, in
// the words of github.com/Masterminds/semver.
//
// Names that are no versions are passed over, and so are pre-releases, unless
// the constraint names one (~12-0). A name may leave out what is zero: 12 is
// 12.0.0.
package version

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// longest is what may be a name: registries allow 128 characters.
const longest = 128

// A Constraint says which versions are meant.
type Constraint struct {
	text string
	of   *semver.Constraints
}

// IsConstraint tells a constraint from a name: it has a character that no tag
// of a registry may have, and that no version has either.
func IsConstraint(text string) bool { return strings.ContainsAny(text, "~^*<>=!|") }

// Parse reads a constraint.
func Parse(text string) (Constraint, error) {
	of, err := semver.NewConstraint(text)
	if err != nil || len(text) > longest {
		return Constraint{}, fmt.Errorf("%.40q is no constraint on versions; write for example ~12, ^1.4, 1.* or >=2,<4", text)
	}
	return Constraint{text, of}, nil
}

func (c Constraint) String() string { return c.text }

// A Choice looks for the highest of the names that it is given one by one.
type Choice struct {
	of   Constraint
	name string // "" while there is none
	best *semver.Version
}

// Choose begins to look for the highest name.
func (c Constraint) Choose() *Choice { return &Choice{of: c} }

// Add looks at one more name.
func (c *Choice) Add(name string) {
	if len(name) > longest {
		return
	}
	v, err := semver.NewVersion(name)
	if err != nil || !c.of.of.Check(v) {
		return
	}
	if c.best == nil || higher(v, name, c.best, c.name) {
		c.name, c.best = name, v
	}
}

// Name is the highest of the names so far, "" if none is meant.
func (c *Choice) Name() string { return c.name }

// Highest is the highest of some names, "" if none is meant.
func (c Constraint) Highest(names []string) string {
	choice := c.Choose()
	for _, name := range names {
		choice.Add(name)
	}
	return choice.Name()
}

// higher compares versions. Of two names for one, the more exact is the higher
// (1.4.0, not 1.4, which moves), and the order of names decides last: whatever
// order they come in, the same is chosen.
func higher(v *semver.Version, name string, than *semver.Version, thanName string) bool {
	if order := v.Compare(than); order != 0 {
		return order > 0
	}
	if len(name) != len(thanName) {
		return len(name) > len(thanName)
	}
	return name > thanName
}

// Higher reports whether one name is a version, and of a higher one than another.
func Higher(name, than string) bool {
	if max(len(name), len(than)) > longest {
		return false
	}
	v, err := semver.NewVersion(name)
	if err != nil {
		return false
	}
	old, err := semver.NewVersion(than)
	return err == nil && v.GreaterThan(old)
}
