package pack

import (
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
)

// A Tip is the commit that is asked for, or the annotated tag of one. As it names
// all the rest, that rest is worth the work only once the tip is found good.
type Tip struct {
	Name plumbing.Hash
	Tag  bool
	// Judge is called once, with the tip's content, as early as it can be:
	// mostly after the first few bytes of a pack, at the latest when commits and
	// tags alone are put together. Its error ends all.
	Judge func(content []byte) error

	met bool
}

// Kind is what the tip must be.
func (t *Tip) Kind() plumbing.ObjectType {
	if t.Tag {
		return plumbing.TagObject
	}
	return plumbing.CommitObject
}

func (t *Tip) missing() bool { return t != nil && !t.met }

func (t *Tip) missed() error {
	if t.missing() {
		return fmt.Errorf("the %s that was asked for is not in it", t.Kind())
	}
	return nil
}

// meet judges an object if it is the tip.
func (t *Tip) meet(name plumbing.Hash, kind plumbing.ObjectType, content []byte) error {
	if !t.missing() || name != t.Name {
		return nil
	}
	if kind != t.Kind() {
		return fmt.Errorf("what was asked for is a %s, not a %s", kind, t.Kind())
	}
	t.met = true
	return t.Judge(content)
}
