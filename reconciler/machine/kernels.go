package machine

import (
	"context"
	"os"
	"slices"
	"sync"

	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/kernel"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/stage"
)

// A kernelMaker finds kernels, and makes an initramfs for each.
type kernelMaker struct{ *Job }

// kernels puts each image's kernel and an initramfs for it on the stage. Both
// are made once per kernel: images and generations that share one share them.
func (a *application) kernels(ctx context.Context, _ []plan.Action) error {
	return a.each(ctx, "kernel and initramfs", func(ctx context.Context, s *staging) error {
		tree, err := inventory.OpenTree(a.Stage, s.layers)
		if err != nil {
			return err
		}
		defer tree.Close()
		maker := kernelMaker{a.Job}
		found, err := maker.findKernel(tree, s)
		if err != nil || found.known {
			s.boot = found.record
			return err
		}
		if s.early != nil {
			s.boot = *s.early
		} else if s.boot, err = maker.makeKernel(ctx, tree, found); err != nil {
			return err
		}
		return a.Stage.PutKernel(found.key, s.boot)
	})
}

// A foundKernel is the kernel that an image boots, and what was made for it if
// that is known already.
type foundKernel struct {
	initramfs.Kernel
	key string
	// made is what the initramfs is made of besides it.
	made   initramfs.Options
	record stage.KernelRecord
	known  bool
}

func (a kernelMaker) findKernel(tree *rootfs.Tree, s *staging) (f foundKernel, err error) {
	if f.Kernel, err = initramfs.FindKernel(tree, s.Inputs.Kernel); err != nil {
		return f, err
	}
	f.made = initramfs.Options{Init: a.Init, Verity: s.Inputs.Verity != ""}
	if f.key, err = initramfs.Key(tree, f.Kernel, f.made); err != nil {
		return f, err
	}
	f.record, f.known, err = a.Stage.Kernel(f.key)
	return f, err
}

func (a kernelMaker) makeKernel(ctx context.Context, tree *rootfs.Tree, found foundKernel) (stage.KernelRecord, error) {
	return kernel.Add(ctx, a.Stage, tree, found.Kernel, found.made, a.Progress)
}

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
	if record, err := h.makeKernel(ctx, tree, found); err == nil {
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
