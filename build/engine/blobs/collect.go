package blobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/oci"
	"github.com/gitboot/gitboot/internal/durable"
)

// An Image is one of the store on the scale.
type Image struct {
	ID     string
	Stored time.Time
	blobs  []string // its manifest first
}

// Collect implements Engine. A builder's own cache is bounded by the builder's
// settings; here, what is bounded is what came of the builds.
func (b *Store) Collect(ctx context.Context, keep []string, limit int64) (freed int64, err error) {
	sizes, _, err := b.Stored()
	if err != nil || total(sizes) <= limit {
		return 0, err
	}
	release, err := engine.Removing(ctx, filepath.Dir(b.Dir))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, release()) }()
	sizes, images, err := b.Stored()
	if err != nil {
		return 0, err
	}
	for _, d := range unused(sizes, images, keep, limit) {
		if err := durable.Remove(oci.Blob(b.Dir, d)); err != nil {
			return freed, fmt.Errorf("collect built images: %w", err)
		}
		freed += sizes[d]
	}
	return freed, nil
}

func total(sizes map[string]int64) (n int64) {
	for _, size := range sizes {
		n += size
	}
	return n
}

// unused chooses the blobs that go, in the order in which they do: those of the
// images that were stored first.
func unused(sizes map[string]int64, images []Image, keep []string, limit int64) (blobs []string) {
	users, left := map[string]int{}, total(sizes)
	for _, i := range images {
		for _, d := range i.blobs {
			users[d]++
		}
	}
	slices.SortFunc(images, func(x, y Image) int { return x.Stored.Compare(y.Stored) })
	for _, i := range images {
		if left <= limit || slices.Contains(keep, i.ID) {
			continue
		}
		for _, d := range i.blobs { // the manifest first: without it, there is no image
			if users[d]--; users[d] == 0 {
				blobs = append(blobs, d)
				left -= sizes[d]
			}
		}
	}
	for d := range sizes {
		if users[d] == 0 && !slices.Contains(blobs, d) && left > limit {
			blobs = append(blobs, d) // of a build that was cut
		}
	}
	return blobs
}

// Stored lists the sizes of all blobs, and the images that are made of them.
func (b *Store) Stored() (sizes map[string]int64, images []Image, err error) {
	all, err := os.ReadDir(oci.Blobs(b.Dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	sizes = map[string]int64{}
	for _, e := range all {
		info, err := e.Info()
		if err != nil {
			return nil, nil, err
		}
		d := "sha256:" + e.Name()
		sizes[d] = info.Size()
		if info.Size() > oci.MaxDocument {
			continue
		}
		m, err := b.Manifest(d)
		if err != nil || m.MediaType != oci.MediaManifest {
			continue // a layer or a configuration
		}
		i := Image{d, info.ModTime(), []string{d}}
		for _, blob := range m.Blobs() {
			i.blobs = append(i.blobs, blob.Digest)
		}
		images = append(images, i)
	}
	return sizes, images, nil
}
