package machine

import (
	"context"
	"os"
	"slices"
	"sync"

	"github.com/gitboot/gitboot/rootfs"
)

// A headStart makes an image's initramfs as soon as its layers can be read,
// while they are still hashed and synced: on two processors that is a tenth of
// a cold pull. It is no more than that: where it fails, the kernels' own step
// does the work again and says what is wrong.
type headStart struct {
	kernelMaker
	s  *staging
	mu sync.Mutex
	// layers are open when they are complete; lacking counts those that are
	// not, and is below zero when there is nothing more to wait for.
	layers  []*os.File
	lacking int
	made    sync.WaitGroup
}

func (a fetcher) newHeadStart(s *staging, layers int) *headStart {
	return &headStart{kernelMaker: kernelMaker{a.Job}, s: s, layers: make([]*os.File, layers), lacking: layers}
}

// complete notes that layer i can be read at path, for now. With the last one
// the work begins.
func (h *headStart) complete(ctx context.Context, i int, path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lacking < 0 {
		return
	}
	var err error
	if h.layers[i], err = os.Open(path); err != nil {
		h.giveUp()
		return
	}
	if h.lacking--; h.lacking == 0 {
		h.made.Go(func() { h.make(ctx) })
	}
}

func (h *headStart) giveUp() {
	for _, f := range slices.DeleteFunc(h.layers, func(f *os.File) bool { return f == nil }) {
		f.Close() // was only read
	}
	h.layers, h.lacking = nil, -1
}

func (h *headStart) make(ctx context.Context) {
	tree, err := rootfs.NewTree(h.layers)
	if err != nil {
		return
	}
	defer tree.Close()
	// A layer without a name makes a key that nothing has; one that is found
	// depends on named layers alone.
	found, err := h.findKernel(tree, h.s)
	if err != nil || found.known {
		return
	}
	if record, err := h.makeKernel(ctx, tree, found.Kernel); err == nil {
		h.s.early = &record
	}
}

// end waits for what has begun. Without all layers, nothing has.
func (h *headStart) end() {
	h.made.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lacking > 0 {
		h.giveUp()
	}
}
