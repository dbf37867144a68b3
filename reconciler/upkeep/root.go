package upkeep

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/rootfs/flat"
	"github.com/gitboot/gitboot/stage"
)

// A RootExport says what is written of a generation as a plain root file system.
type RootExport struct {
	// Name is the generation's, as state.Machine.Find takes it.
	Name string
	// Hooks has the hooks' files above the image's.
	Hooks bool
	Sink  progress.Sink
}

// Write writes it as a tar, and returns how many sockets that does not hold. Each layer
// is compared with its name first.
func (x RootExport) Write(ctx context.Context, st *stage.Stage, to io.Writer) (sockets int, err error) {
	doc, err := state.LoadMachine(st.Dir())
	if err != nil {
		return 0, err
	}
	found, err := doc.Find(x.Name)
	if err != nil {
		return 0, err
	}
	m, err := st.Deployment(found.Deployment)
	if err != nil {
		return 0, err
	}
	layers := m.Layers
	if x.Hooks {
		layers = m.Squashed()
	}
	if len(layers) == 0 {
		return 0, fmt.Errorf("%s has no layers: it is all kernel and initramfs", x.Name)
	}
	for _, o := range layers {
		if err := stage.Intact(ctx, st, o); err != nil {
			return 0, err
		}
	}
	tree, err := inventory.OpenTree(st, layers)
	if err != nil {
		return 0, err
	}
	task := progress.Start(x.Sink, "export "+m.Image, 0)
	defer func() { task.End(err) }()
	sockets, err = flat.Write(ctx, io.MultiWriter(to, task), tree)
	return sockets, errors.Join(err, tree.Close())
}
