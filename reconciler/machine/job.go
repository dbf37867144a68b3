package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/hooks"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/initramfs/processor"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/partial"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/readymade"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/squash"
)

// A Job is all that one run has found out: what is wanted, what is staged, and
// the difference.
type Job struct {
	Machine
	*wanted.Wanted
	req Request
	// doc is what was read; next is what it becomes if the plan is applied. made
	// is what the workshop has ready.
	doc, next *state.Machine
	made      *state.Workshop
	images    map[string]*observedImage
	plan      plan.Plan
	// program is gitboot-init.
	program state.Summed
	// steps are the actions that were begun, for the record.
	steps []state.Step
	// approved is what approved of what is published, of what had to.
	approved []string
	// uncounted says why boots cannot be counted, nil if they can.
	uncounted error
	// location is where the stage is found at boot.
	location boot.Filesystem
}

// An observedImage is one wanted image together with what is needed to stage
// it: the opened image if its layers may be needed, and its hooks.
type observedImage struct {
	want   spec.Image
	origin state.Origin
	opened *image.Image
	// made is what the workshop has ready of an image that is built here, nil of
	// any other.
	made   *state.Build
	hooks  hooks.Input
	inputs plan.Inputs
	layers []plan.Layer
	// blocks are how layers are had for fewer bytes than their objects have, by diff
	// id; nil where there is no such way.
	blocks map[string]*squash.Blocks
	// learned are block maps that were read or fetched for that.
	learned readymade.Learned
	// parts are how layers are had for fewer bytes than their blobs have, likewise.
	parts map[string]*partial.Way
	// cause tells what the image is staged from, as far as it was declared or made
	// here: what failed is tried again at once if that is another.
	cause string
	err   error
}

// rebuilds reports whether what others have made of the image's layers is made here all
// the same, and compared.
func (i *observedImage) rebuilds() bool {
	return i.want.Pull != nil && i.want.Pull.Objects == spec.RebuildObjects
}

// part is how parts of a layer are had, nil if it is pulled whole.
func (i *observedImage) part(diffID string) *squash.Partial {
	way := i.parts[diffID]
	if way == nil {
		return nil
	}
	return &way.Partial
}

// A PendingError says that an image is not built yet. It is nobody's failure.
type PendingError struct{ Image string }

func (e *PendingError) Error() string {
	return fmt.Sprintf("it is not built yet, and follows when it is; `gitboot image log %s --follow` shows how far it is", e.Image)
}

// Look finds out what a run would do, and does none of it. Of what failed the
// job has at least the revision; it is never nil.
func (m *Machine) Look(ctx context.Context, w *wanted.Wanted, req Request) (*Job, error) {
	docs, err := state.Load(m.Stage.Dir())
	if err != nil {
		return newJob(m, w, req), err
	}
	return look(ctx, m, docs, w, req)
}

// look goes by documents that were read.
func look(ctx context.Context, m *Machine, docs state.Documents, w *wanted.Wanted, req Request) (*Job, error) {
	j, err := m.open(ctx, docs, w, req)
	if err != nil {
		return j, err
	}
	if err := j.observeImages(ctx); err != nil {
		return j, err
	}
	return j, j.compare(ctx)
}

// open finds the boot loader and what the initramfs is made of.
func (m *Machine) open(ctx context.Context, docs state.Documents, w *wanted.Wanted, req Request) (j *Job, err error) {
	j = newJob(m, w, req)
	j.doc, j.made, j.Find.Update = docs.Machine, docs.Workshop, req.Update
	if j.Book.Location == nil {
		if err := checkArch(m.Name, w.Wants.Arch); err != nil {
			return j, err
		}
	}
	j.Find.CheckClock(j.doc.Newest(), j.made.Newest())
	if j.next, err = j.doc.Clone(); err != nil {
		return j, err
	}
	if j.location, err = j.Book.Bootable(ctx); err != nil {
		return j, err
	}
	j.uncounted = j.Book.Uncounted(ctx, j.location, w.Wants.Boot.Mode)
	if err := boot.Manageable(w.Wants.Boot.Mode, j.doc.Machine != "", j.uncounted); err != nil {
		return j, err
	}
	j.Init = processor.Program(m.Init, w.Wants.Arch)
	if j.program, err = summed(j.Init, j.doc.Init); err != nil {
		return j, fmt.Errorf("read gitboot-init: %w; install it beside gitboot, or name it with init in agent.toml", err)
	}
	return j, nil
}

// checkArch refuses to stage what this computer could not boot: only a disk that is made
// here is another's.
func checkArch(name, arch string) error {
	if arch == "" || arch == runtime.GOARCH {
		return nil
	}
	return fmt.Errorf("machine %s is declared with arch = %q, and this computer is %s; name the machine that it is, or make a disk of %s with gitboot disk image", name, arch, runtime.GOARCH, name)
}

func newJob(m *Machine, w *wanted.Wanted, req Request) *Job {
	j := &Job{Machine: *m, Wanted: w, req: req, images: map[string]*observedImage{}, plan: plan.Plan{Machine: m.Name, To: w.Revision.Hash}}
	j.Book.Declared = &boot.Choice{Loader: w.Wants.Boot.Loader, SecureBoot: w.Wants.Boot.SecureBoot}
	return j
}

// summed computes a file's checksum, unless it is the file that is known.
func summed(name string, known state.Summed) (now state.Summed, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return now, err
	}
	st := info.Sys().(*syscall.Stat_t)
	now.Stamp = fmt.Sprint(st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano())
	if now.Stamp == known.Stamp {
		return known, nil
	}
	now.Sum, err = initramfs.Checksum(name)
	return now, err
}

// Settled reports whether a run would write nothing at all.
func (j *Job) Settled() bool { return j.plan.Idle() && j.doc.Same(j.next) && !j.Stuck() }

// Stuck reports whether an image could not be looked up on a stage that is
// mounted read-only: the lock makes it writable.
func (j *Job) Stuck() bool {
	for _, img := range j.images {
		if errors.Is(img.err, syscall.EROFS) {
			return true
		}
	}
	return false
}

// Plan is what a run would do, with all that is known for people.
func (j *Job) Plan(ctx context.Context) (plan.Plan, error) {
	planInit(j)
	err := errors.Join(j.planPackages(ctx), j.planFormerDisk(ctx))
	planSpace(ctx, j)
	return j.plan, err
}

// planSpace says what the plan takes of the stage's room, and gives back. Where that
// cannot be found out it fails nothing.
func planSpace(ctx context.Context, j *Job) {
	gone := map[string]bool{}
	for _, r := range j.plan.Removals {
		gone[r.Deployment] = true
	}
	freed, err := stage.Freed(ctx, j.Stage, gone)
	free, ferr := durable.Room(j.Stage.Dir(), j.Stage.Reserve)
	if err := errors.Join(err, ferr); err != nil {
		j.Log.Debug("how much room there is on the stage is not known", "error", err)
		return
	}
	if j.plan.Garbage == 0 && len(gone) == 0 { // what a failed image has got is kept
		freed = stage.Collected{}
	}
	j.plan.Space = j.plan.NewSpace(free, freed.Bytes)
}

// observeImages finds out what each wanted image is now, several at once
// because most of the time goes into waiting for registries.
func (j *Job) observeImages(ctx context.Context) error {
	found := make([]*observedImage, len(j.Wants.Images))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i, want := range j.Wants.Images {
		group.Go(func() error {
			found[i] = j.observeImage(ctx, want)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, img := range found {
		j.images[img.want.Name] = img
	}
	return nil
}

// builds reports whether an image is built before it is staged.
func (j *Job) builds(name string) bool { return j.req.Builds != nil && j.req.Builds(name) }

// stagedLayers returns an image's layers if all of them are on the stage.
func (j *Job) stagedLayers(img *observedImage) (out []deployment.Object, err error) {
	out, err = j.Stage.Layers(layerIDs(img.list()))
	if slices.Contains(out, deployment.Object{}) {
		return nil, err
	}
	return out, err
}

// list are the layers of an image that is known, lowest first.
func (i *observedImage) list() []image.Layer {
	switch {
	case i.made != nil:
		var out []image.Layer
		for _, id := range i.made.Layers {
			out = append(out, image.Layer{DiffID: id})
		}
		return out
	case i.opened != nil:
		return i.opened.Layers
	}
	return nil
}

func layerIDs(layers []image.Layer) (ids []stage.LayerID) {
	for _, l := range layers {
		ids = append(ids, stage.LayerID{DiffID: l.DiffID, Blob: l.Digest})
	}
	return ids
}
