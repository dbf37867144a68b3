package machine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/hooks"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/writable"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/rootfs/packages"
	"github.com/gitboot/gitboot/stage"
)

// An application is one run of apply.
type application struct {
	*Job
	// saved is the machine's document as it is on the stage.
	saved    *state.Machine
	stagings []*staging
	// turns fetch the images' layers; published are those images that did not
	// wait for the ones that take long.
	turns     *turns
	published []*staging
	garbage   collector
}

// A staging is one image on its way to a new deployment.
type staging struct {
	plan.Staging
	image  *observedImage
	layers []deployment.Object
	hooks  *deployment.Object
	atBoot []string
	// verity is how the layers are verified, nil if they are not.
	verity *deployment.Verity
	// early is the kernel of a head start, nil without one.
	early *stage.KernelRecord
	boot  stage.KernelRecord
	id    string
	// packages is how they differ from the generation before, nil if that is
	// not known or nothing can differ.
	packages *packages.Summary
	// fetched is what was fetched of its layers, nil if all were there.
	fetched *state.Fetched
	// test is how its boot test went, nil if it has had none.
	test *state.Test
	err  error
}

func newApplication(ctx context.Context, j *Job, stop <-chan struct{}) *application {
	a := &application{Job: j, saved: j.doc}
	for _, s := range j.plan.Stagings {
		one := &staging{Staging: s, image: j.images[s.Image], id: s.Ready}
		if s.Ready != "" {
			ready := j.doc.Images[s.Image].Waiting(s.Ready)
			one.packages, one.fetched, one.test = ready.Packages, ready.Fetched, ready.Test
		}
		a.stagings = append(a.stagings, one)
	}
	a.turns = newTurns(ctx, a, stop)
	return a
}

// failed returns the failures of images, found while looking or applying.
func (a *application) failed() map[string]error {
	out := maps.Clone(a.plan.Failed)
	for _, s := range slices.Concat(a.published, a.stagings) {
		if s.err != nil {
			out[s.Image] = durable.Failing(a.Stage.Dir(), s.err)
		}
	}
	return out
}

// each does something for every image that is not staged already and has not
// failed yet. An image's error is its own; only the end of ctx ends the run.
func (a *application) each(ctx context.Context, what string, do func(context.Context, *staging) error) error {
	for _, s := range a.stagings {
		if s.err != nil || s.Ready != "" {
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

func (a *application) clean(context.Context, []plan.Action) error { return a.Stage.Clean() }

func (a *application) settle(ctx context.Context, _ []plan.Action) error { return a.Stage.Settle(ctx) }

func (a *application) hooks(ctx context.Context, _ []plan.Action) error {
	return a.each(ctx, "hooks", func(ctx context.Context, s *staging) error {
		tree, err := inventory.OpenTree(a.Stage, s.layers)
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
	obj, err := a.Stage.AddLayer(ctx, stage.Tar{DiffID: out.DiffID, Name: s.Image + " hooks", Size: out.Size, Open: out.Open})
	if err != nil {
		return err
	}
	s.hooks, s.atBoot = &obj, out.AtBoot
	return nil
}

// packages notes, for people, which packages differ from the generation
// before. It fails no image: whether a database can be read decides nothing.
func (a *application) packages(ctx context.Context, _ []plan.Action) error {
	return a.each(ctx, "compare packages", func(ctx context.Context, s *staging) error {
		before := a.doc.Images[s.Image].Newest()
		if before == nil {
			return nil
		}
		if s.packages = a.notedPackages(ctx, s.Image, before.Deployment, s.layers); s.packages != nil {
			a.plan.SetPackages(s.Image, s.packages.String())
			a.Log.Info("compared packages", "image", s.Image, "generation", s.Generation, "packages", s.packages.Count)
		}
		if err := warnHidden(ctx, a, s); err != nil {
			a.Log.Warn("what the kept files of the running system hide is not known; see `gitboot root show`", "image", s.Image, "error", err)
		}
		return nil
	})
}

// hiddenTime is how long a run looks for such files, whose number nobody bounds, while it
// holds the stage's lock.
const hiddenTime = 2 * time.Second

// warnHidden tells of files that the running system keeps, and that hide what the new
// generation of its image brings.
func warnHidden(ctx context.Context, a *application, s *staging) error {
	if a.Book.Booted == "" {
		return nil
	}
	m, err := a.Stage.Deployment(a.Book.Booted)
	if err != nil || m.Image != s.Image || m.Root.Upper == nil || !m.Root.Upper.Persistent {
		return nil // nothing is kept of this image that is known of
	}
	open := func(layers []deployment.Object) func() (*rootfs.Tree, error) {
		return func() (*rootfs.Tree, error) { return inventory.OpenTree(a.Stage, layers) }
	}
	ctx, cancel := context.WithTimeout(ctx, hiddenTime)
	defer cancel()
	written := writable.Layer{Dir: a.Written, Image: m.Image, Upper: *m.Root.Upper}
	r, err := written.Look(ctx, []writable.Generation{{Open: open(m.Squashed())}, {N: s.Generation, Open: open(s.manifest().Squashed())}})
	if err == nil && len(r.Hides) > 0 {
		a.Log.Warn("files that are kept hide newer ones of the image; see `gitboot root show`", "image", s.Image, "generation", s.Generation, "files", len(r.Hides), "first", r.Hides[0].Path)
	}
	return err
}

// notedPackages is how packages change, nil where that cannot be found out.
func (m *Machine) notedPackages(ctx context.Context, image, deployment string, layers []deployment.Object) *packages.Summary {
	s, err := inventory.Changed(ctx, m.Stage, deployment, layers)
	if err != nil {
		m.Log.Warn("which packages changed is not known", "image", image, "error", err)
	}
	return s
}

// planPackages says what is known of packages before anything is staged: of
// images whose layers are all on the stage, such as one that an older commit
// brought, and of those that the workshop has made.
func (j *Job) planPackages(ctx context.Context) error {
	for _, s := range j.plan.Stagings {
		img, newest := j.images[s.Image], j.doc.Images[s.Image].Newest()
		if ready := j.doc.Images[s.Image].Waiting(s.Ready); ready != nil && ready.Packages != nil {
			j.plan.SetPackages(s.Image, ready.Packages.String())
			continue
		}
		if newest == nil || j.builds(s.Image) || newest.Inputs.ImageDigest == img.inputs.ImageDigest {
			continue
		}
		layers, err := j.stagedLayers(img)
		if err != nil {
			return err
		}
		var summary *packages.Summary
		switch {
		case len(layers) > 0:
			summary = j.notedPackages(ctx, s.Image, newest.Deployment, layers)
		case img.made != nil:
			summary = j.made.NewPackages(s.Image, newest)
		}
		if summary != nil {
			j.plan.SetPackages(s.Image, summary.String())
		}
	}
	return ctx.Err()
}

func (a *application) deployments(ctx context.Context, list []plan.Action) error {
	for _, s := range a.stagings {
		for _, act := range list {
			if s.err != nil || act.Image != s.Image {
				continue
			}
			if s.packages != nil { // which is known only now
				act.Packages = s.packages.String()
			}
			a.trace([]plan.Action{act})
		}
	}
	return a.each(ctx, "publish deployment", func(_ context.Context, s *staging) (err error) {
		s.id, err = a.Stage.Publish(s.manifest())
		return err
	})
}

// manifest is that of the deployment which the image becomes.
func (s *staging) manifest() *deployment.Manifest {
	return &deployment.Manifest{
		Version:       deployment.Version,
		Image:         s.Image,
		Kernel:        s.boot.Kernel,
		Initramfs:     s.boot.Initramfs,
		KernelVersion: s.boot.Version,
		KernelArgs:    s.Inputs.KernelArgs,
		Layers:        s.layers,
		Hooks:         s.hooks,
		AtBoot:        s.atBoot,
		Root:          deployment.Root{TmpfsSize: s.Inputs.TmpfsSize, CopyToRAM: s.Inputs.CopyToRAM, Upper: s.Inputs.Upper},
		Verity:        s.verity,
		Health:        s.Inputs.Health,
		Assembles:     s.Inputs.Assembles,
	}
}
