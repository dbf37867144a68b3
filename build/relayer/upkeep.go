package relayer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/oci"
	"github.com/gitboot/gitboot/internal/durable"
)

// Forget removes what is remembered of images other than these.
func (s *Store) Forget(names []string) error {
	known, err := os.ReadDir(filepath.Join(s.Dir, placesFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range known {
		if !slices.Contains(names, e.Name()) {
			if err := durable.Remove(filepath.Join(s.Dir, placesFolder, e.Name())); err != nil {
				return fmt.Errorf("forget where packages of image %q were: %w", e.Name(), err)
			}
		}
	}
	return nil
}

// DropDamaged reads an image and removes its layers that are not what they are called, so
// that the image is gone and the next build makes it again. It says which they were. Who
// reads the same layer meanwhile has it open, and finds out for itself.
func (s *Store) DropDamaged(ctx context.Context, id string) (dropped []string, err error) {
	img, err := s.Image(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, l := range img.Layers {
		is, err := found(ctx, l)
		if err == nil && is != l.DiffID {
			dropped = append(dropped, l.DiffID)
			err = durable.Remove(oci.Blob(s.Dir, l.DiffID))
		}
		if err != nil {
			return dropped, fmt.Errorf("look for damage in layer %s: %w", l.DiffID, err)
		}
	}
	return dropped, nil
}

// found is what a layer is in truth.
func found(ctx context.Context, l engine.Layer) (digest string, err error) {
	in, err := l.Open(ctx)
	if err != nil {
		return "", err
	}
	digest, _, err = digestOf(ctx, in)
	return digest, errors.Join(err, in.Close())
}
