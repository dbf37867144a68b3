package machine

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/kernel"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/readymade"
	"github.com/gitboot/gitboot/reconciler/recovery"
	"github.com/gitboot/gitboot/reconciler/state"
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
		if err != nil {
			return err
		}
		switch s.boot = found.record; {
		case found.known:
		case s.early != nil:
			s.boot = *s.early
		default:
			if s.boot, err = maker.makeKernel(ctx, tree, found); err != nil {
				return err
			}
		}
		if s.image.rebuilds() && s.image.opened != nil {
			if err := readymade.CompareKernel(s.image.opened.Kernels, found.key, s.boot); err != nil {
				return err
			}
		}
		if found.known {
			return nil
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
	f.made = a.makes(s)
	if f.key, err = initramfs.Key(tree, f.Kernel, f.made); err != nil {
		return f, err
	}
	f.record, f.known, err = a.Stage.Kernel(f.key)
	return f, err
}

// makes is what an image's initramfs is made of besides its kernel.
func (a kernelMaker) makes(s *staging) initramfs.Options {
	return initramfs.Options{Init: a.Init, Verity: s.Inputs.Verity != "", Assembles: s.Inputs.Assembles}
}

func (a kernelMaker) makeKernel(ctx context.Context, tree *rootfs.Tree, found foundKernel) (stage.KernelRecord, error) {
	return kernel.Add(ctx, a.Stage, tree, found.Kernel, found.made, a.Progress)
}

// An entrance is where process 1 enters an image: its init.
type entrance struct{ *application }

// look refuses what process 1 would find no init in, with the hooks above it: one of
// them may bring it, or take it away.
func (a entrance) look(ctx context.Context, _ []plan.Action) error {
	return a.each(ctx, "init", func(_ context.Context, s *staging) error {
		layers := s.layers
		if s.hooks != nil {
			layers = append(slices.Clone(layers), *s.hooks)
		}
		return entered(a.Job, layers, s.Inputs.KernelArgs)
	})
}

// entered reports that there is no init in layers.
func entered(j *Job, layers []deployment.Object, kernelArgs []string) error {
	tree, err := inventory.OpenTree(j.Stage, layers)
	if err != nil {
		return err
	}
	defer tree.Close()
	_, err = initramfs.FindInit(tree, kernelArgs)
	return err
}

// planInit warns of images without an init, as far as their layers are on the stage.
func planInit(j *Job) {
	for i := range j.plan.Stagings {
		s := &j.plan.Stagings[i]
		layers, err := j.stagedLayers(j.images[s.Image])
		if err != nil || len(layers) == 0 {
			continue // it fails of that, or nobody knows
		}
		if err := entered(j, layers, s.Inputs.KernelArgs); errors.As(err, new(*initramfs.NoInitError)) {
			s.Warnings = append(s.Warnings, err.Error()+"; it fails unless a hook brings one")
		}
	}
}

// A headStart makes an image's initramfs as soon as its layers can be read,
// while they are still hashed and synced: on two processors that is a tenth of
// a cold pull. It is no more than that: where it fails, the kernels' own step
// does the work again and says what is wrong. Where others have made it of the same,
// that is taken, which is fetched beside the layers.
type headStart struct {
	kernelMaker
	s  *staging
	mu sync.Mutex
	// layers are open when they are complete; lacking counts those that are
	// not, and is below zero when there is nothing more to wait for.
	layers  []*os.File
	lacking int
	made    sync.WaitGroup
	// offer is nil if nobody has made it.
	offer *readymade.Offer
}

func (a fetcher) newHeadStart(ctx context.Context, s *staging, layers int) *headStart {
	h := &headStart{kernelMaker: kernelMaker{a.Job}, s: s, layers: make([]*os.File, layers), lacking: layers}
	if !s.image.rebuilds() {
		h.offer = readymade.Offered(ctx, a.Stage, s.image.opened.Kernels, readymade.Wish{Image: s.Image, Pick: s.Inputs.Kernel, Options: h.makes(s), Sum: a.program.Sum, Again: s.image.opened.Misled, Log: a.Log, Progress: a.Progress})
	}
	return h
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
	if record, ok := h.offer.Take(found.key); ok {
		h.s.early = &record
		return
	}
	if record, err := h.makeKernel(ctx, tree, found); err == nil {
		h.s.early = &record
	}
}

// end waits for what has begun. Without all layers, nothing has.
func (h *headStart) end() {
	h.made.Wait()
	h.offer.End()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lacking > 0 {
		h.giveUp()
	}
}

// A recoverer sees to the recovery entry. That it cannot be made is told, and holds
// up nothing else.
type recoverer struct{ *application }

// compareRecovery plans to make the recovery entry, if that has to be. That of another
// kind of machine is not made here.
func compareRecovery(j *Job) {
	if checkArch(j.Name, j.Wants.Arch) != nil && j.Wants.Recovery != nil {
		j.Log.Warn("the recovery entry holds gitboot itself, which is another kind of machine's here: the machine makes it when it reconciles")
		return
	}
	known := plan.Recovery{Wanted: recovery.Key(j.Wants.Recovery, j.location.Assembly), Patient: j.req.Patient, Source: len(j.plan.Stagings) > 0}
	for _, img := range j.Wants.Images {
		known.Source = known.Source || j.doc.Images[img.Name].Newest() != nil
	}
	r := j.next.Recovery
	if r == nil {
		j.plan.Recover(known.Reason(j.Now()), "")
		return
	}
	if known.Made = r.Key; r.Deployment != "" {
		known.Damaged = inventory.Lack(j.Stage, r.Deployment)
	}
	if r.Failure != nil {
		known.Failed = &r.Failure.Tries
	}
	if known.Whole() {
		r.Failure = nil
	}
	j.plan.Recover(known.Reason(j.Now()), r.Deployment)
}

// make makes the entry of the first image that is whole.
func (a recoverer) make(ctx context.Context, list []plan.Action) error {
	if len(list) == 0 {
		return nil
	}
	a.trace(list)
	var made state.Recovery
	from, glob, err := a.source()
	if err == nil {
		maker := recovery.Maker{Stage: a.Stage, Progress: a.Progress, Programs: a.Programs, Init: a.Init, Assembly: a.location.Assembly}
		made, err = maker.Make(ctx, a.Wants.Recovery, from, glob)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		made.Made = a.now()
		a.next.Recovery = &made
	} else {
		a.note(err)
	}
	stays := a.next.Recovery.Deployment
	a.plan.Removals = slices.DeleteFunc(a.plan.Removals, func(r plan.Removal) bool { return r.Deployment == stays })
	return nil
}

// note keeps why there is no entry, or only the one that was made before.
func (a recoverer) note(err error) {
	r := state.Recovery{}
	if before := a.next.Recovery; before != nil {
		r = *before
	}
	r.Failure = r.Failure.Tried(err, recovery.Key(a.Wants.Recovery, a.location.Assembly), whose(a.Name, boot.RecoveryID), a.now())
	a.next.Recovery, a.plan.Recovery = &r, ""
	a.Log.Error("the recovery entry cannot be made; all else goes on", "error", err)
}

// source is the deployment to make it of, and which of its kernels.
func (a recoverer) source() (from *deployment.Manifest, glob string, err error) {
	for _, img := range a.Wants.Images {
		id := ""
		if g := a.doc.Images[img.Name].Newest(); g != nil && inventory.Damage(a.Stage, *g) == "" {
			id, glob = g.Deployment, g.Inputs.Kernel
		}
		for _, s := range a.stagings {
			if s.Image == img.Name && s.err == nil && s.id != "" {
				id, glob = s.id, s.Inputs.Kernel
			}
		}
		if id != "" {
			from, err = a.Stage.Deployment(id)
			return from, glob, err
		}
	}
	return nil, "", errors.New("no image is whole on the stage, of which it could be made")
}
