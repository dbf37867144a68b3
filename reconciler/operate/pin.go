// Package operate is what people decide of a machine beside its config repo:
// which generations stay, whether anything changes by itself, and what may be
// published. Each takes the stage's lock, and leaves what was decided in the machine's
// document, which runs heed, and who decided it in a record.
package operate

import (
	"context"
	"fmt"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/state"
)

// maxText is how long a word of why may be, in bytes: it is shown in a menu, and
// on one line.
const maxText = 100

// CheckText refuses a label or a reason that cannot be shown on one line.
func CheckText(what, s string) error {
	switch {
	case len(s) > maxText:
		return fmt.Errorf("the %s has %d bytes; give at most %d", what, len(s), maxText)
	case s != "" && deployment.CheckText(s) != nil:
		return fmt.Errorf("the %s %.40q is not UTF-8, or has a control character such as a line end", what, s)
	}
	return nil
}

// Pin has a generation stay, whatever keep says and whether or not its image is
// wanted, until it is unpinned. The label, which may be empty, is shown in the
// menu. One that is pinned already gets the new label.
func (o Operator) Pin(ctx context.Context, name, label string) (found state.Found, err error) {
	if err := CheckText("label", label); err != nil {
		return found, err
	}
	err = o.change(ctx, func(doc *state.Machine) (d decision, err error) {
		g, err := generation(doc, name, &found)
		if err != nil {
			return d, err
		}
		pin := state.Pin{Label: label, Since: o.now()}
		if g.Pin != nil {
			pin.Since = g.Pin.Since
		}
		g.Pin = &pin
		return decision{Did: fmt.Sprintf("pinned %s:%d", found.Image, found.N), Why: label}, nil
	})
	return found, err
}

// Unpin lets go of a generation, which the next run may then remove. It reports
// whether that was pinned.
func (o Operator) Unpin(ctx context.Context, name string) (found state.Found, was bool, err error) {
	err = o.change(ctx, func(doc *state.Machine) (d decision, err error) {
		g, err := generation(doc, name, &found)
		if err != nil || g.Pin == nil {
			return d, err
		}
		g.Pin, was = nil, true
		return decision{Did: fmt.Sprintf("unpinned %s:%d", found.Image, found.N)}, nil
	})
	return found, was, err
}

// generation finds what name means, in the document itself.
func generation(doc *state.Machine, name string, found *state.Found) (*state.Generation, error) {
	f, err := doc.Find(name)
	if err != nil {
		return nil, err
	}
	*found = f
	generations := doc.Images[f.Image].Generations
	for i := range generations {
		if generations[i].N == f.N {
			return &generations[i], nil
		}
	}
	return nil, fmt.Errorf("find %s: it is gone", name)
}
