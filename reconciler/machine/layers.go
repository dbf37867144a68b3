package machine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/relayer"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/partial"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/readymade"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/squash"
	"github.com/gitboot/gitboot/stage/trees"
)

func (a *application) reserve(ctx context.Context, _ []plan.Action) error {
	var need int64
	return a.each(ctx, "reserve room", func(ctx context.Context, s *staging) error {
		mine := s.Room()
		if err := a.Stage.HasRoom(need + mine); err != nil && !a.freed(ctx, need+mine) {
			return err
		}
		need += mine
		return nil
	})
}

// freed makes room by collecting what nothing reaches, such as the layers of
// an image that failed before.
func (a *application) freed(ctx context.Context, need int64) bool {
	collected, err := a.Stage.Collect(ctx, false)
	return err == nil && collected.Objects > 0 && a.Stage.HasRoom(need) == nil
}

// A fetcher puts the layers of images on the stage.
type fetcher struct{ *application }

// fetchLayers puts an image's layers on the stage, several at once.
func (a fetcher) fetchLayers(ctx context.Context, s *staging) error {
	switch {
	case s.image.opened != nil:
		return a.addLayers(ctx, s)
	case s.image.made != nil:
		return a.takeBuilt(ctx, s)
	}
	return a.reuseLayers(s) // the digest is staged: take its layers
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
func (a fetcher) addLayers(ctx context.Context, s *staging) (err error) {
	list := s.image.opened.Layers
	early := a.newHeadStart(ctx, s, len(list))
	defer early.end()
	sources := make([]stage.Tar, len(list))
	var tally readymade.Tally
	for i, l := range list {
		sources[i] = tally.Count(stage.Tar{
			Made: a.made(s, l, early), Partial: s.image.part(l.DiffID), Again: s.image.opened.Misled,
			DiffID: l.DiffID, Blob: l.Digest, Name: s.Image, Largest: l.Largest(), Progress: a.Progress,
			Open: func(ctx context.Context) (io.ReadCloser, error) {
				a.garbage.often() // it is packed, though it may have been thought to be ready-made
				return l.Open(ctx)
			},
			Readable: func(path string) { early.complete(ctx, i, path) },
		}, l.Size)
	}
	defer func() { s.fetched = tally.Fetched() }()
	if s.layers, err = a.Stage.AddLayers(ctx, sources, plan.LayersAtOnce); err == nil && s.image.rebuilds() {
		err = compareMade(a.Stage, list)
	}
	if err == nil {
		err = a.keepContents(ctx, s)
	}
	return err
}

// keepContents keeps what the layers consist of, for those that come after them.
func (a fetcher) keepContents(ctx context.Context, s *staging) error {
	if err := s.image.learned.Keep(a.Stage); err != nil {
		a.Log.Warn("objects are read again for the next image: what blocks they have cannot be kept", "image", s.Image, "error", err)
	}
	err := partial.Keep(ctx, a.Stage, s.image.opened.Layers, s.image.parts, s.layers)
	if err != nil && ctx.Err() == nil {
		a.Log.Warn("the next layers of an image are pulled whole: which files these have cannot be kept", "image", s.Image, "error", err)
		return nil
	}
	return err
}

// made is what others have made of a layer, nil if it is to be made here. It is read as
// soon as it is there for an initramfs that nobody offers, and for a hash tree.
func (a fetcher) made(s *staging, l image.Layer, early *headStart) *squash.Made {
	if s.image.rebuilds() {
		return nil
	}
	made := readymade.Take(l.Made)
	if made != nil {
		made.Blocks = s.image.blocks[l.DiffID]
		made.Soon = early.offer == nil || s.Inputs.Verity != ""
	}
	return made
}

// compareMade holds what layers became here against what others have published of
// them. Packing is deterministic: where they differ, one of the two is not of that
// layer.
func compareMade(st *stage.Stage, list []image.Layer) error {
	ours, err := stage.Made(st, layerIDs(list))
	if err != nil {
		return err
	}
	for i, l := range list {
		theirs := readymade.Take(l.Made)
		if theirs == nil || ours[i] == nil || ours[i].Taken != theirs.Taken {
			continue
		}
		if o := ours[i].Object; o != theirs.Object {
			return fmt.Errorf("layer %s: what was published of it is object %s, and what it becomes here is %s: whoever signed that published something else, or packs with other programs (%s here); have it published anew, and look at who can sign, before other machines take it",
				plan.Short(l.DiffID), plan.Short(theirs.Object.SHA256), plan.Short(o.SHA256), squash.Squasher)
		}
	}
	return nil
}

// takeBuilt puts the layers of an image that the workshop has ready on the
// stage, straight from the engine's store.
func (a fetcher) takeBuilt(ctx context.Context, s *staging) (err error) {
	if s.layers, err = a.Stage.Layers(layerIDs(s.image.list())); err != nil || !slices.Contains(s.layers, deployment.Object{}) {
		return err
	}
	release, err := engine.Reading(ctx, a.EngineDir) // the workshop may be removing old images
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	stored, err := a.stored(ctx, s)
	if err != nil {
		return err
	}
	var sources []stage.Tar
	for _, l := range stored.Layers {
		sources = append(sources, stage.Tar{DiffID: l.DiffID, Name: s.Image, Size: l.Size, Open: l.Open, Progress: a.Progress})
	}
	if s.layers, err = a.Stage.AddLayers(ctx, sources, 1); err != nil && ctx.Err() == nil {
		err = errors.Join(err, a.dropDamaged(ctx, s))
	}
	return err
}

// dropDamaged looks whether layers by packages could not be staged because they are damaged:
// then they are removed, and the next run makes them again.
func (a fetcher) dropDamaged(ctx context.Context, s *staging) error {
	made := s.image.made.Relayered
	if made == nil {
		return nil
	}
	dropped, err := relayer.Open(a.EngineDir).DropDamaged(ctx, made.ID)
	if err == nil && len(dropped) > 0 {
		err = fmt.Errorf("%s of the built image was damaged and is removed; the next run makes it again", plan.Short(dropped[0]))
	}
	return err
}

// stored is what the workshop has ready of an image, where it keeps it.
func (a fetcher) stored(ctx context.Context, s *staging) (engine.Image, error) {
	made := s.image.made
	if made.Relayered != nil {
		return relayer.Open(a.EngineDir).Image(ctx, made.Relayered.ID)
	}
	e, err := a.Engine(cmp.Or(made.Engine, s.image.want.Build.Engine))
	if err != nil {
		return engine.Image{}, err
	}
	return e.Image(ctx, made.ID)
}

func (a fetcher) reuseLayers(s *staging) error {
	staged := a.doc.Images[s.Image].Staged(s.Inputs.ImageDigest)
	m, err := a.Stage.Deployment(staged.Deployment)
	if err != nil {
		return err
	}
	s.layers = m.Layers
	return nil
}

// trees puts the hash trees of layers on the stage where these are to be verified.
// One that is there, of whatever generation, is made no second time.
func (a fetcher) trees(ctx context.Context, _ []plan.Action) error {
	return a.each(ctx, "hash trees", func(ctx context.Context, s *staging) (err error) {
		if s.Inputs.Verity == "" {
			return nil
		}
		layers := slices.Clone(s.layers)
		if s.hooks != nil {
			layers = append(layers, *s.hooks)
		}
		if missing := trees.Missing(a.Stage, layers); missing > 0 {
			a.Log.Info("making hash trees", "image", s.Image, "bytes", missing)
			task := progress.Start(a.Progress, "hash trees of "+s.Image, 0)
			defer func() { task.End(err) }()
		}
		s.verity = &deployment.Verity{Mode: s.Inputs.Verity}
		for _, o := range layers {
			t, err := trees.Of(ctx, a.Stage, o)
			if err != nil {
				return err
			}
			s.verity.Trees = append(s.verity.Trees, t)
		}
		return nil
	})
}
