package workshop

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/relayer"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/reconciler/state"
)

// collectCaches bounds what the engines keep, now that builds have added to
// it. What was built stands, whatever comes of this.
func (j maker) collectCaches(ctx context.Context) {
	limit := j.cacheSize()
	if slices.ContainsFunc(j.builds, func(b *build) bool { return errors.As(b.err, new(*engine.FullError)) }) {
		limit = 1 // all that is not needed, for the next try
	}
	if _, err := relayer.Open(j.EngineDir).Collect(ctx, j.doc.Stored(), limit); err != nil {
		j.Log.Warn("old images with layers by packages stay", "error", err)
	}
	if err := relayer.Open(j.EngineDir).Forget(byPackages(j.Job)); err != nil {
		j.Log.Warn("what is remembered of images that nobody wants any more stays", "error", err)
	}
	collected := map[string]bool{}
	for _, b := range j.builds {
		e, err := j.engine(b)
		if err != nil || !b.ran && b.err == nil || collected[e.Name()] {
			continue
		}
		collected[e.Name()] = true
		freed, err := e.Collect(ctx, j.doc.Stored(), limit)
		switch {
		case err != nil:
			j.Log.Warn("the engine's old build cache stays", "engine", e.Name(), "error", err)
		case freed > 0:
			j.Log.Info("collected the engine's old build cache", "engine", e.Name(), "bytes", freed)
		}
	}
}

// byPackages are the names of images that have layers by packages.
func byPackages(j *Job) (names []string) {
	for _, b := range j.builds {
		if b.want.Build.Relayer != "" {
			names = append(names, b.want.Name)
		}
	}
	if !j.chosen {
		return names
	}
	for name, b := range j.doc.Builds {
		if b.Relayered != nil {
			names = append(names, name)
		}
	}
	return names
}

// relayer returns what is staged and published of what an engine has built: that itself,
// or where it is declared an image of the same files in layers by packages. Of the same it
// is made once, unless somebody asks for it without cache.
func (j storing) relayer(ctx context.Context, b *build, img engine.Image, opts engine.Options) (engine.Image, *state.Relayered, error) {
	if b.want.Build.Relayer == "" {
		return img, nil, nil
	}
	store, key := relayer.Open(j.EngineDir), relayer.Key(img)
	if known := b.state.Relayered; known != nil && known.Key == key && !b.verdict.Forced {
		if out, err := store.Image(ctx, known.ID); !errors.Is(err, engine.ErrGone) {
			return out, known, err
		}
	}
	out, err := store.Make(ctx, img, relayer.Options{
		Name: b.want.Name, Again: b.verdict.Forced, Reserve: j.Reserve, Doing: func(what string) { opts.Progress.Step(0, 0, what) },
	})
	if err := errors.Join(err, fault.Point("build.relayered")); err != nil {
		return engine.Image{}, nil, err
	}
	fmt.Fprintf(opts.Log, "\nfiles are in %d layers by packages\n", len(out.Layers))
	return out, &state.Relayered{ID: out.ID, Key: key, Built: img.Digest}, nil
}

// builtDigest is that of what the engine built.
func builtDigest(s *state.Build) string {
	if s.Relayered != nil {
		return s.Relayered.Built
	}
	return s.Digest
}

// stored is what is staged and published of an image.
func (s *Shop) stored(ctx context.Context, b *build) (engine.Image, error) {
	if known := b.state.Relayered; known != nil {
		return relayer.Open(s.EngineDir).Image(ctx, known.ID)
	}
	e, err := s.engine(b)
	if err != nil {
		return engine.Image{}, err
	}
	return e.Image(ctx, b.state.ID)
}

// Layers are the layers of what was built, lowest first. Of those by packages it is known
// whose files they have, while the image is there.
func (s *Shop) Layers(ctx context.Context, b *state.Build) ([]image.Layer, error) {
	out := layersOf(b)
	if b.Relayered == nil {
		return out, nil
	}
	img, err := relayer.Open(s.EngineDir).Image(ctx, b.Relayered.ID)
	if errors.Is(err, engine.ErrGone) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	said, err := image.History(img.Config)
	for i := range min(len(out), len(said)) {
		out[i].CreatedBy = said[i]
	}
	return out, err
}

// holds reports an error that is engine.ErrGone if what was built is not there any more.
func (s *Shop) holds(ctx context.Context, b *build) error {
	e, err := s.engine(b)
	if err != nil {
		return err
	}
	if _, err := e.Image(ctx, b.state.ID); err != nil {
		return err
	}
	_, err = s.stored(ctx, b)
	return err
}
