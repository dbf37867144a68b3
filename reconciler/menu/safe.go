package menu

import (
	"slices"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/state"
)

// noGraphics has the kernel leave the screen as the firmware has set it (its
// Documentation/admin-guide/kernel-parameters.txt, nomodeset).
const noGraphics = "nomodeset"

// SafeGraphics is the generation that an entry without graphics drivers boots: the first
// image's newest that is known to be good, else its newest; nil if none is declared, or there.
func SafeGraphics(doc *state.Machine) *state.Found {
	if !doc.SafeGraphics {
		return nil
	}
	for _, name := range doc.MenuOrder() {
		img := doc.Images[name]
		if img == nil || len(img.Generations) == 0 {
			continue
		}
		for _, g := range slices.Backward(img.Generations) {
			if doc.Verdicts.State(g.Deployment) == boot.Good {
				return &state.Found{Image: name, Generation: g}
			}
		}
		return &state.Found{Image: name, Generation: *img.Newest()}
	}
	return nil
}

// safeGraphics returns that entry, nil if it could not be booted. It is nothing's trial, and
// never boots by itself.
func safeGraphics(b *Book, doc *state.Machine, fs boot.Filesystem) *boot.Entry {
	of := SafeGraphics(doc)
	if of == nil {
		return nil
	}
	m, err := b.Stage.Deployment(of.Deployment)
	if err == nil {
		e := Entry(of.Image, doc.Machine, of.Generation, m, fs)
		e.ID, e.Title = boot.SafeGraphicsID, e.Title+", safe graphics"
		e.Args = slices.Concat(ownCmdline(doc.Machine, of.Deployment, fs).Args(), []string{noGraphics}, deployment.Foreign(m.KernelArgs))
		if err = e.Check(fs); err == nil {
			return &e
		}
	}
	b.Log.Warn("the entry without graphics drivers is not in the boot menu", "image", of.Image, "generation", of.N, "error", err)
	return nil
}
