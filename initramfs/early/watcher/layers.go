package watcher

import (
	"context"
	"fmt"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/dm"
)

// whole is the check that nothing that cannot be read any more was found damaged.
func (w *watcher) whole() []check {
	if !w.enforce || len(w.layers) == 0 {
		return nil
	}
	return []check{{"layers", func(context.Context) error {
		if found := w.damaged(); len(found) > 0 {
			return fmt.Errorf("object %.12s was found damaged when it was read; see `gitboot stage verify`", found[0])
		}
		return nil
	}}}
}

// damaged are the layers that the kernel has found not to be what they were.
func (w *watcher) damaged() (found []string) {
	if len(w.layers) == 0 {
		return nil
	}
	found, _ = dm.FoundDamaged(deployment.VerityDevice, w.layers) // what cannot be asked is not known to be damaged
	return found
}
