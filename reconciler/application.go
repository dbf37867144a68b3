package reconciler

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/hooks"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/rootfs/packages"
	"github.com/gitboot/gitboot/stage"
)

// Room kept free besides the layers, in bytes: for hooks and manifests, and
// for the kernel and initramfs that new layers may bring.
const (
	smallRoom  = 4 << 20
	kernelRoom = 48 << 20
)

// layersAtOnce bounds how many layers are squashed side by side: each squasher
// uses every processor by itself, so more would only cost memory.
const layersAtOnce = 2

// An application is one run of apply.
type application struct {
	*Reconciler
	*observation
	stagings []*staging
	// turns fetch the images' layers; published are those images that did not
	// wait for the ones that take long.
	turns     *turns
	published []*staging
}

// A staging is one image on its way to a new deployment.
type staging struct {
	plan.Stage
	image  *observedImage
	layers []deployment.Object
	hooks  *deployment.Object
	atBoot []string
	// early is the kernel of a head start, nil without one.
	early *stage.KernelRecord
	boot  stage.KernelRecord
	id    string
	// packages is how they differ from the generation before, nil if that is
	// not known or nothing can differ.
	packages *packages.Summary
	err      error
}

// frugal has garbage collected twice as often until it is undone: what streams
// through needs little of the collector and leaves much behind. It takes a
// sixth off a pull's peak of memory, and no time that can be measured.
func frugal() (undo func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(50)
	return func() { debug.SetGCPercent(before) }
}

func newApplication(ctx context.Context, r *Reconciler, o *observation) *application {
	a := &application{Reconciler: r, observation: o, stagings: newStagings(o)}
	a.turns = newTurns(ctx, a)
	return a
}

func newStagings(o *observation) (out []*staging) {
	for _, s := range o.plan.Stages {
		out = append(out, &staging{Stage: s, image: o.images[s.Image]})
	}
	return out
}

// failed returns the failures of images, found while observing or applying.
func (a *application) failed() map[string]error {
	out := maps.Clone(a.plan.Failed)
	for _, s := range slices.Concat(a.published, a.stagings) {
		if s.err != nil {
			out[s.Image] = s.err
		}
	}
	return out
}

// each does something for every image that has not failed yet. An image's
// error is its own; only the end of ctx ends the run.
func (a *application) each(ctx context.Context, what string, do func(context.Context, *staging) error) error {
	for _, s := range a.stagings {
		if s.err != nil {
			continue
		}
		if err := do(ctx, s); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.err = fmt.Errorf("%s: %w", what, err)
			a.Log.Error("image failed; it stays as it is", "image", s.Image, "error", s.err)
		}
	}
	return nil
}

func (a *application) clean(context.Context) error { return a.stage.Clean() }

func (a *application) reserve(ctx context.Context) error {
	var need int64
	return a.each(ctx, "reserve room", func(ctx context.Context, s *staging) error {
		mine := int64(smallRoom)
		if len(s.Layers) > 0 {
			mine += kernelRoom
		}
		for _, l := range s.Layers {
			mine += l.Bytes + l.Bytes/8 // squashfs objects are a little larger than zstd layers
		}
		if err := a.stage.HasRoom(need + mine); err != nil && !a.freed(ctx, need+mine) {
			return err
		}
		need += mine
		return nil
	})
}

// freed makes room by collecting what nothing reaches, such as the layers of
// an image that failed before.
func (a *application) freed(ctx context.Context, need int64) bool {
	collected, err := a.stage.Collect(ctx, false)
	return err == nil && collected.Objects > 0 && a.stage.HasRoom(need) == nil
}

// fetchLayers puts an image's layers on the stage, several at once.
func (a *application) fetchLayers(ctx context.Context, s *staging) error {
	if s.image.build != nil {
		return a.stageBuilt(ctx, s)
	}
	if s.image.opened == nil { // the digest is staged: take its layers
		return a.reuseLayers(s)
	}
	return a.addLayers(ctx, s)
}

// announce tells who watches which layers are to come.
func (a *application) announce() {
	for _, s := range a.stagings {
		if s.err != nil || s.image.opened == nil {
			continue
		}
		var layers []progress.Layer
		for i, l := range s.image.opened.Layers {
			if slices.ContainsFunc(s.Layers, func(lacking plan.Layer) bool { return lacking.DiffID == l.DiffID }) {
				layers = append(layers, progress.Layer{ID: l.DiffID, Image: s.Image, N: i + 1, Of: len(s.image.opened.Layers), Bytes: l.Size})
			}
		}
		progress.Announce(a.Progress, layers)
	}
}

// addLayers stages several layers at once. While the last ones are hashed and
// synced, the initramfs is made of them.
func (a *application) addLayers(ctx context.Context, s *staging) (err error) {
	list := s.image.opened.Layers
	early := a.newHeadStart(s, len(list))
	defer early.end()
	sources := make([]stage.Source, len(list))
	for i, l := range list {
		sources[i] = stage.Source{
			DiffID: l.DiffID, Blob: l.Digest, Name: s.Image, Largest: l.Largest(), Open: l.Open, Progress: a.Progress,
			Readable: func(path string) { early.complete(ctx, i, path) },
		}
	}
	s.layers, err = a.stage.AddLayers(ctx, sources, layersAtOnce)
	return err
}

func (a *application) reuseLayers(s *staging) error {
	newest := a.state.Images[s.Image].newest()
	m, err := a.stage.Deployment(newest.Deployment)
	if err != nil {
		return err
	}
	s.layers = m.Layers
	return nil
}

func (a *application) hooks(ctx context.Context) error {
	return a.each(ctx, "hooks", func(ctx context.Context, s *staging) error {
		tree, err := a.openTree(s.layers)
		if err != nil {
			return err
		}
		defer tree.Close()
		if former := a.noteFormerDisk(s, tree); len(s.image.hooks.Hooks)+len(former.Files) == 0 {
			return nil
		}
		input := s.image.hooks
		input.Root = tree
		out, err := hooks.Render(ctx, input)
		if err != nil {
			return err
		}
		defer out.Close()
		return a.addHookLayer(ctx, s, out)
	})
}

func (a *application) addHookLayer(ctx context.Context, s *staging, out *hooks.Output) error {
	if out.Empty() {
		return nil
	}
	obj, err := a.stage.AddLayer(ctx, stage.Source{DiffID: out.DiffID, Name: s.Image + " hooks", Size: out.Size, Open: out.Open})
	if err != nil {
		return err
	}
	s.hooks, s.atBoot = &obj, out.AtBoot
	return nil
}

func (a *application) deployments(ctx context.Context) error {
	return a.each(ctx, "publish deployment", func(_ context.Context, s *staging) (err error) {
		s.id, err = a.stage.Publish(&deployment.Manifest{
			Version:       deployment.Version,
			Image:         s.Image,
			Kernel:        s.boot.Kernel,
			Initramfs:     s.boot.Initramfs,
			KernelVersion: s.boot.Version,
			KernelArgs:    s.Inputs.KernelArgs,
			Layers:        s.layers,
			Hooks:         s.hooks,
			AtBoot:        s.atBoot,
			Root:          deployment.Root{TmpfsSize: s.Inputs.TmpfsSize, CopyToRAM: s.Inputs.CopyToRAM},
		})
		return err
	})
}

func (a *application) settle(ctx context.Context) error { return a.stage.Settle(ctx) }

// recordState notes the new generations and forgets the surplus ones. It
// comes before the menu: a run cut in between leaves a menu that differs from
// the state, which the next run sees and puts right.
func (a *application) recordState(context.Context) error {
	now := a.Now().UTC().Truncate(time.Second)
	failed := a.failed()
	for _, s := range a.stagings {
		state := a.next.image(s.Image)
		state.fail(s.err, now)
		if s.err == nil {
			state.add(Generation{N: s.Generation, Deployment: s.id, Revision: a.revision.Hash, Created: now, Inputs: s.Inputs, Packages: s.packages})
		}
	}
	for _, removal := range a.plan.Removals {
		// An image that failed or is late keeps all it has: its surplus was
		// counted with the generation that did not come.
		if img := a.next.Images[removal.Image]; img != nil && failed[removal.Image] == nil && !a.turns.left(removal.Image) {
			img.removeNumber(removal.Generation)
		}
	}
	a.next.dropUnwanted(a.images)
	// Until this run has come to its end, the last one's failure stands.
	a.next.Failure = a.state.Failure
	return a.next.Save(a.Stage)
}

func (a *application) clearFailure(context.Context) error {
	a.next.Failure = nil
	return a.next.Save(a.Stage)
}
