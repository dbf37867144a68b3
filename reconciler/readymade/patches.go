package readymade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/objects"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/rootfs/blockmap"
	"github.com/gitboot/gitboot/rootfs/blockpatch"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/squash"
)

// worthPatching is how many bytes an update by blocks has at least to fetch for a patch
// to be made.
const worthPatching = 1 << 20

// An earlier is an image that machines may have of those that follow.
type earlier struct {
	digest string
	made   []*image.Made
}

// has reports whether an object is one of its layers': whoever has the image has it.
func (e earlier) has(o deployment.Object) bool {
	return slices.ContainsFunc(e.made, func(m *image.Made) bool { return m.SHA256 == o.SHA256 })
}

// openEarlier finds what was published of an image by the same key.
func (p Publisher) openEarlier(ctx context.Context, ref string) (e earlier, err error) {
	ours, err := p.Key.Policy("")
	if err != nil {
		return e, err
	}
	opened, err := image.Open(ctx, ref, "", p.Options)
	if err != nil {
		return e, err
	}
	if _, err := image.FindMade(ctx, ref, opened, []cosign.Policy{ours}, p.Options); err != nil {
		return e, err
	}
	e.digest = opened.Digest
	for _, l := range opened.Layers {
		if Take(l.Made) == nil {
			return e, fmt.Errorf("layer %s was not published as an object, or not by this key", l.DiffID)
		}
		e.made = append(e.made, l.Made)
	}
	return e, nil
}

// earlierDigests are those of the earlier images, but for the one that they are earlier
// than.
func (p Publisher) earlierDigests(ctx context.Context, than string) (list []string, err error) {
	for _, ref := range p.Earlier {
		opened, err := image.Open(ctx, ref, "", p.Options)
		if err != nil {
			return nil, err
		}
		if opened.Digest != than {
			list = append(list, opened.Digest)
		}
	}
	return list, nil
}

func containsAll(list, all []string) bool {
	return !slices.ContainsFunc(all, func(one string) bool { return !slices.Contains(list, one) })
}

// addPatches adds patches from earlier images to what is published. One that cannot be
// had is none that a machine is helped from.
func (b *bench) addPatches(ctx context.Context, img Image, u *image.ArtifactUpload, d *objects.Description) error {
	if b.Key == nil {
		return nil // whose objects the earlier ones are is not known
	}
	for _, ref := range b.Earlier {
		e, err := b.openEarlier(ctx, ref)
		if err == nil && e.digest != img.Digest && !slices.Contains(d.PatchedFrom, e.digest) {
			err = b.patchFrom(ctx, e, u, d)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			b.Log.Warn("published without a patch from an earlier image", "image", img.Ref, "from", ref, "error", err)
		}
	}
	return nil
}

// patchFrom adds patches from one earlier image.
func (b *bench) patchFrom(ctx context.Context, e earlier, u *image.ArtifactUpload, d *objects.Description) error {
	from, paths, err := b.fetchEarlier(ctx, e)
	if err != nil {
		return err
	}
	d.PatchedFrom = append(d.PatchedFrom, e.digest)
	if len(from) == 0 {
		return nil
	}
	made := map[string]*objects.LayerPatch{}
	for i := range d.Layers {
		l := &d.Layers[i]
		object := deployment.Object{SHA256: l.SHA256, Size: l.Size}
		p, again := made[l.SHA256]
		if !again && !e.has(object) {
			if p, err = b.makePatch(ctx, object, from, paths); err != nil {
				return fmt.Errorf("layer %s: %w", l.DiffID, err)
			}
			if made[l.SHA256] = p; p != nil {
				o := deployment.Object(p.File)
				u.Files = append(u.Files, file(objects.Patch, o, func() (io.ReadCloser, error) { return stage.OpenIntact(b.scratch, o) }))
			}
		}
		if p != nil {
			l.Patches = append(l.Patches, *p)
		}
	}
	return nil
}

// fetchEarlier returns those objects of an earlier image that the new one does not have,
// and where they lie: on the stage, or fetched from the registry.
func (b *bench) fetchEarlier(ctx context.Context, e earlier) (from []deployment.Object, paths []string, err error) {
	for _, m := range e.made {
		o := deployment.Object{SHA256: m.SHA256, Size: m.Size}
		if slices.Contains(b.objects, o) || slices.Contains(from, o) {
			continue
		}
		if len(from) == blockpatch.MaxSources {
			return nil, nil, fmt.Errorf("more than %d of its layers are others now", len(from))
		}
		on := b.Stage
		if on == nil || stage.Intact(ctx, on, o) != nil {
			if on, err = b.own(); err != nil {
				return nil, nil, err
			}
			task := progress.Start(b.Progress, "fetch an earlier layer", o.Size)
			err := stage.Fetch(ctx, on, stage.Fetched{Object: o, Open: m.Open, Check: squash.CheckForm}, task)
			if task.End(err); err != nil {
				return nil, nil, err
			}
		}
		from, paths = append(from, o), append(paths, on.ObjectPath(o))
	}
	return from, paths, nil
}

// makePatch makes a patch to an object, nil if blocks are as cheap.
func (b *bench) makePatch(ctx context.Context, o deployment.Object, from []deployment.Object, paths []string) (*objects.LayerPatch, error) {
	m, err := b.mapOf(ctx, o)
	if err != nil {
		return nil, err
	}
	j := &joiner{blocks: m, log: b.Log}
	j.places = slices.Repeat([]blockmap.Place{blockmap.Nowhere}, len(j.blocks))
	for _, path := range paths {
		with, err := j.with(ctx, path)
		if err != nil {
			return nil, err
		}
		j = with
	}
	byBlocks := lengthOf(j.missing)
	if byBlocks < worthPatching {
		return nil, nil
	}
	st, err := b.own()
	if err != nil {
		return nil, err
	}
	task := progress.Start(b.Progress, "make a patch of a layer", byBlocks)
	patch, err := b.storePatch(ctx, st, o, j.wanted(), paths, task)
	if task.End(err); err != nil {
		return nil, err
	}
	// What it makes of the older ones is what the machines get, as they pack it alike.
	body, err := stage.OpenIntact(st, patch)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	made, err := patched(ctx, st, paths, body, m)
	if err != nil {
		return nil, err
	}
	defer made.Discard()
	if j, err = j.with(ctx, made.Name()); err != nil {
		return nil, err
	}
	rest := lengthOf(j.missing)
	if patch.Size+rest >= byBlocks {
		return nil, nil
	}
	p := &objects.LayerPatch{File: objects.File(patch), Rest: rest}
	for _, f := range from {
		p.From = append(p.From, f.SHA256)
	}
	return p, nil
}

// wanted tells whether the block at an offset is missing.
func (j *joiner) wanted() func(off int64) bool {
	missing, off := map[int64]bool{}, int64(0)
	for i, b := range j.blocks {
		if j.places[i] == blockmap.Nowhere {
			missing[off] = true
		}
		off += int64(b.Length)
	}
	return func(off int64) bool { return missing[off] }
}

// storePatch makes a patch and stores it as an object.
func (b *bench) storePatch(ctx context.Context, st *stage.Stage, o deployment.Object, wanted func(int64) bool, paths []string, done *progress.Task) (deployment.Object, error) {
	older, closeAll, err := openAll(paths)
	if err != nil {
		return deployment.Object{}, err
	}
	defer closeAll()
	f, err := os.Open(b.holds.ObjectPath(o))
	if err != nil {
		return deployment.Object{}, err
	}
	defer f.Close()
	file, err := rootfs.New(f)
	if err != nil {
		return deployment.Object{}, err
	}
	r, w := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.CloseWithError(blockpatch.Make(ctx, w, file, older, wanted, done.Add))
	}()
	patch, err := st.AddFile(ctx, r)
	err = errors.Join(err, r.Close())
	<-ended
	return patch, err
}
