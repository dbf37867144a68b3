package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/state"
)

// Mark says of a generation that it is good or bad, whatever was found out. "" is
// the one that runs. The reason, which may be empty, is for what is bad.
func (o Operator) Mark(ctx context.Context, name, verdict, reason string) (found state.Found, err error) {
	if err := CheckText("reason", reason); err != nil {
		return found, err
	}
	if name == "" {
		if name = o.On.Book.Booted; name == "" {
			return found, errors.New("this system is no deployment; name a generation, `gitboot boot list` shows all")
		}
	}
	err = o.change(ctx, func(doc *state.Machine) (d decision, err error) {
		if found, err = doc.Find(name); err != nil {
			return d, err
		}
		v := state.Verdict{Image: found.Image, State: verdict, Since: o.now(), By: o.By}
		if verdict == boot.Bad {
			if v.Reason = reason; reason == "" {
				v.Reason = "somebody said so"
			}
		}
		doc.Judge(found.Deployment, v)
		return decision{Did: fmt.Sprintf("marked %s:%d as %s", found.Image, found.N, verdict), Why: reason}, nil
	})
	return found, err
}

// Rollback has the machine boot by itself what it did before: it says of the
// generations of an image that are newer than the named one that they are bad.
// Without a name that is the newest good one before what boots by itself now. What
// the config repo brings next is tried as ever.
func (o Operator) Rollback(ctx context.Context, name string) (found state.Found, err error) {
	err = o.change(ctx, func(doc *state.Machine) (d decision, err error) {
		if doc.Mode != boot.ModeManaged {
			return d, errors.New("roll back: the menu's mode is \"menu\", which leaves what boots by itself to the distribution; " +
				"declare boot.mode = \"managed\" for the machine in the config repo first")
		}
		if found, err = before(doc, name); err != nil {
			return d, err
		}
		reason := fmt.Sprintf("rolled back to generation %d", found.N)
		for _, g := range doc.Images[found.Image].Generations {
			if g.N > found.N {
				doc.Judge(g.Deployment, state.Verdict{Image: found.Image, State: boot.Bad, Since: o.now(), Reason: reason, By: o.By})
			}
		}
		if chosen, err := doc.Find(doc.Default); err == nil && chosen.Image == found.Image {
			doc.Default = ""
		}
		return decision{Did: fmt.Sprintf("rolled back to %s:%d", found.Image, found.N)}, nil
	})
	return found, err
}

// before is the generation that is rolled back to.
func before(doc *state.Machine, name string) (state.Found, error) {
	if name == "" {
		return lastGood(doc)
	}
	found, err := doc.Find(name)
	if err != nil {
		return found, err
	}
	switch doc.Verdicts.State(found.Deployment) {
	case boot.Bad:
		return found, fmt.Errorf("roll back to %s:%d: it is bad: %s; `gitboot boot mark-good %s:%d` says otherwise", found.Image, found.N, doc.Verdicts[found.Deployment].Reason, found.Image, found.N)
	case boot.Trying:
		return found, fmt.Errorf("roll back to %s:%d: it has not proved good yet; `gitboot boot mark-good %s:%d` says that it is, `gitboot boot set-default` chooses it all the same", found.Image, found.N, found.Image, found.N)
	}
	return found, nil
}

// lastGood is the newest good generation before what boots by itself now.
func lastGood(doc *state.Machine) (state.Found, error) {
	var all []boot.Candidate
	generations := map[string]state.Found{}
	for _, image := range doc.MenuOrder() {
		img := doc.Images[image]
		if img == nil {
			continue
		}
		for _, g := range slices.Backward(img.Generations) {
			id := boot.EntryID(image, g.Deployment)
			all = append(all, boot.Candidate{Image: image, ID: id, State: doc.Verdicts.State(g.Deployment)})
			generations[id] = state.Found{Image: image, Generation: g}
		}
	}
	boots, _ := boot.Decide(all, doc.Default)
	now := generations[boots]
	for _, state := range []string{boot.Good, ""} {
		for _, c := range all {
			if c.Image == now.Image && c.State == state && generations[c.ID].N < now.N {
				return generations[c.ID], nil
			}
		}
	}
	return state.Found{}, fmt.Errorf("roll back: no generation before %s:%d is known to be good; name one, `gitboot boot list` shows all", now.Image, now.N)
}

// Next has an entry boot at the next boot, and at that alone; "" takes that back.
func (o Operator) Next(ctx context.Context, name string) (found state.Found, err error) {
	book := &o.On.Book
	fs, err := book.Bootable(ctx)
	if err != nil {
		return found, err
	}
	memory, err := book.Memory(ctx, fs)
	if err != nil {
		return found, fmt.Errorf("boot an entry once: %w; choose it in the boot menu instead", err)
	}
	err = o.note(ctx, func(doc *state.Machine) (d decision, err error) {
		entry := ""
		if d.Did = "took back what boots once"; name != "" {
			if found, err = doc.Find(name); err != nil {
				return d, err
			}
			shown, err := book.Shown()
			if err != nil {
				return d, err
			}
			if entry = boot.EntryID(found.Image, found.Deployment); !shown[entry] {
				return d, fmt.Errorf("boot %s:%d once: it is %s", found.Image, found.N, book.Hidden(ctx, found.Image, doc.Machine, found.Generation))
			}
			d.Did = fmt.Sprintf("chose %s:%d for the next boot", found.Image, found.N)
		}
		return d, memory.Change(func(is *boot.Memory) { is.Once = entry })
	})
	return found, err
}
