package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gitboot/gitboot/internal/durable"
)

// A keptImage is one of the store on the scale.
type keptImage struct {
	id    string
	last  time.Time // when it was stored
	blobs []string
}

// Collect implements Engine. A builder's own cache is bounded by the builder's
// settings; here, what is bounded is what came of the builds.
func (b *ociStore) Collect(_ context.Context, keep []string, limit int64) (freed int64, err error) {
	sizes, images, err := b.stored()
	if err != nil {
		return 0, err
	}
	users, total := map[string]int{}, int64(0)
	for _, i := range images {
		for _, d := range i.blobs {
			users[d]++
		}
	}
	for _, size := range sizes {
		total += size
	}
	slices.SortFunc(images, func(x, y keptImage) int { return x.last.Compare(y.last) })
	var unused []string
	for _, i := range images {
		if total <= limit || slices.Contains(keep, i.id) {
			continue
		}
		for _, d := range i.blobs { // the manifest first: without it, there is no image
			if users[d]--; users[d] == 0 {
				unused = append(unused, d)
				total -= sizes[d]
			}
		}
	}
	for d := range sizes {
		if users[d] == 0 && !slices.Contains(unused, d) && total > limit {
			unused = append(unused, d) // of a build that was cut
		}
	}
	for _, d := range unused {
		if err := durable.Remove(blobFile(b.dir, d)); err != nil {
			return freed, fmt.Errorf("collect built images: %w", err)
		}
		freed += sizes[d]
	}
	return freed, nil
}

// stored lists all blobs, and the images that are made of them.
func (b *ociStore) stored() (sizes map[string]int64, images []keptImage, err error) {
	all, err := os.ReadDir(filepath.Join(b.dir, "blobs", "sha256"))
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
		if info.Size() > maxDocument {
			continue
		}
		m, err := b.manifest(d)
		if err != nil || m.MediaType != mediaManifest {
			continue // a layer or a configuration
		}
		i := keptImage{d, info.ModTime(), []string{d}}
		for _, blob := range m.blobs() {
			i.blobs = append(i.blobs, blob.Digest)
		}
		images = append(images, i)
	}
	return sizes, images, nil
}
