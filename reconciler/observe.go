package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/hooks"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// An observation is all that one run has found out: what is wanted, what is
// staged, and the difference.
type observation struct {
	revision source.Revision
	wants    *spec.Wants
	// state is what was read; next is what it becomes if the plan is applied.
	state, next *State
	images      map[string]*observedImage
	// builds are the images that are built here, parents first.
	builds []*observedBuild
	plan   plan.Plan
	// files are the revision's, and initSum that of gitboot-init.
	files   fs.FS
	initSum string
	// location is where the stage is found at boot.
	location boot.Filesystem
}

// An observedImage is one wanted image together with what is needed to stage
// it: the opened image if its layers may be needed, and its hooks.
type observedImage struct {
	want   spec.Image
	source Source
	opened *image.Image
	hooks  hooks.Input
	inputs plan.Inputs
	layers []plan.Layer
	// build is how the image is built, nil if it is not.
	build *observedBuild
	err   error
}

// settled reports whether a run would write nothing at all.
func (o *observation) settled() bool {
	return o.plan.Empty() && o.state.equal(o.next)
}

// wantsSame reports whether another revision changes nothing for this machine, as
// far as its config repo's declarations go.
func (o *observation) wantsSame(other *observation) bool {
	return reflect.DeepEqual(o.wants, other.wants)
}

// observe returns what it has seen up to an error, too.
func (r *Reconciler) observe(ctx context.Context) (o *observation, err error) {
	o = &observation{images: map[string]*observedImage{}}
	if o.state, err = LoadState(r.Stage); err != nil {
		return o, err
	}
	if o.location, err = r.bootable(ctx); err != nil {
		return o, err
	}
	if o.files, err = r.fetch(ctx, o); err != nil {
		return o, err
	}
	if o.wants, err = r.resolve(ctx, o.files); err != nil {
		return o, err
	}
	if o.next, err = o.state.clone(); err != nil {
		return o, err
	}
	if o.initSum, err = initramfs.Checksum(r.Init); err != nil {
		return o, fmt.Errorf("read gitboot-init: %w; install it beside gitboot, or name it with init in agent.toml", err)
	}
	if err := r.observeBuilds(ctx, o); err != nil {
		return o, err
	}
	if err := r.observeImages(ctx, o); err != nil {
		return o, err
	}
	return o, r.compare(ctx, o)
}

// fetch finds the revision to apply and gives its files.
func (r *Reconciler) fetch(ctx context.Context, o *observation) (fs.FS, error) {
	if r.Worktree {
		o.revision = source.Revision{Hash: worktreeRevision, Time: r.Now().UTC()}
		return source.Worktree(r.Source, r.Subdir)
	}
	src, err := source.Open(ctx, r.Source)
	if err != nil {
		return nil, err
	}
	if o.revision, err = src.Fetch(ctx, o.state.Revision); err != nil {
		return nil, err
	}
	r.tellUncommitted(ctx, src, o)
	return src.Files(o.revision.Hash, r.Subdir)
}

// resolve reads the machine's wants, and makes sure that they are meant for
// this machine, by the config repo that it follows.
func (r *Reconciler) resolve(ctx context.Context, files fs.FS) (*spec.Wants, error) {
	fleet, err := spec.Load(ctx, files)
	if err != nil {
		return nil, err
	}
	if name := fleet.Repo(); r.RepoName != "" && name != r.RepoName {
		return nil, &RepoNameError{Want: r.RepoName, Have: name}
	}
	wants, err := fleet.Resolve(ctx, r.Machine)
	if unknown := (*spec.UnknownMachineError)(nil); errors.As(err, &unknown) {
		return nil, &MachineError{Name: r.Machine, From: r.MachineFrom, Known: unknown.Known}
	}
	if err != nil {
		return nil, err
	}
	if wants.MachineID != "" && wants.MachineID != r.MachineID {
		return nil, &WrongMachineError{Machine: r.Machine, Want: wants.MachineID, Have: r.MachineID}
	}
	return wants, nil
}

// observeImages finds out what each wanted image is now, several at once
// because most of the time goes into waiting for registries.
func (r *Reconciler) observeImages(ctx context.Context, o *observation) error {
	found := make([]*observedImage, len(o.wants.Images))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i, want := range o.wants.Images {
		group.Go(func() error {
			found[i] = r.observeImage(ctx, o, want)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, img := range found {
		o.images[img.want.Name] = img
	}
	return nil
}

func (r *Reconciler) observeImage(ctx context.Context, o *observation, want spec.Image) *observedImage {
	img := &observedImage{want: want, hooks: r.hookInput(want)}
	state := o.state.Images[want.Name]
	if state == nil {
		state = &ImageState{}
	}
	if want.Build != nil {
		img.build = o.build(want.Name)
		img.source, img.err = Source{Digest: img.build.state.Digest}, img.build.err
	} else {
		img.source, img.opened, img.err = r.lookups.resolve(ctx, r, state.Source, want, o.files)
	}
	img.inputs = plan.Inputs{
		ImageDigest: img.source.Digest,
		Hooks:       hooks.Key(img.hooks),
		Init:        o.initSum,
		Kernel:      want.Kernel,
		KernelArgs:  slices.Clone(want.KernelArgs),
		TmpfsSize:   want.TmpfsSize,
		CopyToRAM:   want.CopyToRAM,
	}
	r.observeFormerDisk(img, state.newest())
	if img.err == nil {
		img.err = checkEntry(o.wants.Machine, want, o.location)
	}
	switch {
	case img.err != nil || !r.needsLayers(state.newest(), img.inputs):
	case img.build != nil:
		img.layers, img.err = r.plannedLayers(builtLayers(img.build.state))
	default:
		img.err = r.openLayers(ctx, img, o.files)
	}
	return img
}

// needsLayers reports whether the image's layers have to be known: not when
// the newest generation holds them already.
func (r *Reconciler) needsLayers(newest *Generation, inputs plan.Inputs) bool {
	return newest == nil || newest.Inputs.ImageDigest != inputs.ImageDigest || r.damage(*newest) != ""
}

func (r *Reconciler) openLayers(ctx context.Context, img *observedImage, files fs.FS) (err error) {
	if img.opened == nil {
		if img.opened, err = r.lookups.open(ctx, r, img.want, img.source.Digest, files); err != nil {
			return err
		}
	}
	img.layers, err = r.plannedLayers(img.opened.Layers)
	return err
}

// plannedLayers says which layers of an image are on the stage.
func (r *Reconciler) plannedLayers(layers []image.Layer) ([]plan.Layer, error) {
	objects, err := r.stage.Layers(layerIDs(layers))
	if err != nil {
		return nil, err
	}
	var out []plan.Layer
	for i, l := range layers {
		out = append(out, plan.Layer{DiffID: l.DiffID, Bytes: l.Size, Staged: objects[i] != deployment.Object{}})
	}
	return out, nil
}

func layerIDs(layers []image.Layer) (ids []stage.LayerID) {
	for _, l := range layers {
		ids = append(ids, stage.LayerID{DiffID: l.DiffID, Blob: l.Digest})
	}
	return ids
}

// damage says what a generation lacks on the stage; empty if nothing.
func (r *Reconciler) damage(g Generation) string {
	m, err := r.stage.Deployment(g.Deployment)
	if err != nil {
		return fmt.Sprintf("generation %d has no readable manifest", g.N)
	}
	for _, obj := range m.Objects() {
		info, err := os.Stat(r.stage.ObjectPath(obj))
		if err != nil || info.Size() != obj.Size {
			return fmt.Sprintf("generation %d lacks object %s", g.N, plan.Short(obj.SHA256))
		}
	}
	return ""
}

// platform is what images are pulled for unless they say otherwise.
func platform(want string) string {
	if want != "" {
		return want
	}
	return "linux/" + runtime.GOARCH
}
