package workshop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
)

// baseOf returns a base that is pulled or opened, nil if it is none of these.
func baseOf(want spec.Image) *spec.Image {
	b := want.Build
	switch {
	case b.Base != nil && b.Base.Build == nil:
		return b.Base
	case b.FromRef != "":
		return pulled(want, b.FromRef)
	case b.FromArchive != nil:
		return &spec.Image{Name: want.Name, Archive: b.FromArchive, LayerSize: want.LayerSize}
	}
	return nil
}

// pulled is an image of a registry that a build names.
func pulled(want spec.Image, ref string) *spec.Image {
	p := want.Build.Pulled
	p.Ref = ref
	return &spec.Image{Name: want.Name, Pull: &p, LayerSize: want.LayerSize}
}

// lookUp finds what an image that a build names means now, and asks for it anew
// when the build is due. What is known is kept when that fails.
func (j looker) lookUp(ctx context.Context, b *build, known state.Origin, img *spec.Image) (state.Origin, error) {
	from := known
	if b.due && !b.rests(j.Now()) {
		from = state.Origin{}
	}
	found, _, err := j.Find.Resolve(ctx, from, *img, j.Files)
	if err != nil {
		return known, err
	}
	return found, nil
}

// rests reports whether a build that failed is left alone for now, if nothing
// that it is made from changes.
func (b *build) rests(now time.Time) bool {
	return b.patient && b.state.Failure != nil && b.state.Failure.Rest(now)
}

// pin puts digests to the images that steps name besides the base.
func (j looker) pin(ctx context.Context, b *build) error {
	named, digests := map[string]state.Origin{}, map[string]string{}
	for _, ref := range b.prepared.References {
		found, err := j.lookUp(ctx, b, b.state.Named[ref], pulled(b.want, ref))
		if err != nil {
			return fmt.Errorf("look up %s, which a fragment names: %w", ref, err)
		}
		named[ref], digests[ref] = found, found.Digest
	}
	b.state.Named = named
	return b.prepared.Pin(digests, image.Pinned)
}

// openBase opens a base that is pulled or in an archive.
func (j maker) openBase(ctx context.Context, b *build) (*image.Image, error) {
	img, err := j.Find.Open(ctx, *b.base, b.state.Base.Digest, j.Files)
	if missing := (*image.NotFoundError)(nil); b.base.Pull != nil && errors.As(err, &missing) {
		return nil, fmt.Errorf("%s at %s is gone from its registry, and the engine's store does not hold it: %w; "+
			"push it there again, look up what the tag means now with --update, or name another base as from",
			b.base.Pull.Ref, plan.Short(b.state.Base.Digest), err)
	}
	if b.blobs = nil; err == nil && b.base.Pull != nil && b.want.Build.Push != nil {
		b.blobs = img.Blobs(b.base.Pull.Ref)
	}
	return img, err
}

// engineCredentials writes a file for the engine with what it needs to fetch the
// images that steps name, "" if it needs nothing. Engines do not look where
// gitboot does.
func (j maker) engineCredentials(ctx context.Context, b *build) (path string, remove func() error, err error) {
	nothing := func() error { return nil }
	data, err := image.CredentialFile(ctx, b.prepared.References, j.Find.PullOptions(&b.want.Build.Pulled))
	if err != nil || data == nil {
		return "", nothing, err
	}
	f, err := os.CreateTemp(j.Stage.Workshop().Temp(), "auth-") // 0600
	if err != nil {
		return "", nothing, err
	}
	_, err = f.Write(data)
	remove = func() error { return os.Remove(f.Name()) }
	if err = errors.Join(err, f.Close()); err != nil {
		return "", nothing, errors.Join(err, remove())
	}
	return f.Name(), remove, nil
}
