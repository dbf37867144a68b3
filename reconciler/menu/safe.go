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

// safeGraphics returns an entry that boots, without graphics drivers, the first image's newest
// generation that is known to be good, else its newest; nil if none is declared, or could be
// booted. It is nothing's trial, and never boots by itself.
func safeGraphics(b *Book, doc *state.Machine, fs boot.Filesystem) *boot.Entry {
	if !doc.SafeGraphics {
		return nil
	}
	for _, name := range doc.MenuOrder() {
		img := doc.Images[name]
		if img == nil || len(img.Generations) == 0 {
			continue
		}
		g := *img.Newest()
		for _, older := range slices.Backward(img.Generations) {
			if doc.Verdicts.State(older.Deployment) == boot.Good {
				g = older
				break
			}
		}
		m, err := b.Stage.Deployment(g.Deployment)
		if err == nil {
			e := Entry(name, doc.Machine, g, m, fs)
			e.ID, e.Title = boot.SafeGraphicsID, e.Title+", safe graphics"
			e.Args = slices.Concat(ownCmdline(doc.Machine, g.Deployment, fs).Args(), []string{noGraphics}, deployment.Foreign(m.KernelArgs))
			if err = e.Check(fs); err == nil {
				return &e
			}
		}
		b.Log.Warn("the entry without graphics drivers is not in the boot menu", "image", name, "generation", g.N, "error", err)
		return nil
	}
	return nil
}
