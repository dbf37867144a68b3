package buildah

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/build/engine"
)

// Collect implements Engine.
func (b *Engine) Collect(ctx context.Context, keep []string, limit int64) (freed int64, err error) {
	view, err := b.view()
	if err != nil {
		return 0, err
	}
	freed, err = b.collectMounts(limit - view.total())
	if err != nil || view.total() <= limit {
		return freed, err
	}
	images, err := b.collectImages(ctx, keep, limit)
	return freed + images, err
}

// collectImages removes images when nobody reads any.
func (b *Engine) collectImages(ctx context.Context, keep []string, limit int64) (freed int64, err error) {
	release, err := engine.Removing(ctx, b.dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, release()) }()
	view, err := b.view()
	if err != nil {
		return 0, err
	}
	rest := view.choose(keep, limit)
	var victims []string
	for _, i := range view.images {
		if !slices.Contains(rest, i) {
			victims = append(victims, i.ID)
		}
	}
	if len(victims) == 0 {
		return 0, nil
	}
	if err := b.Clean(ctx); err != nil { // containers of cut builds would hold on to images
		return 0, err
	}
	if err := b.protect(ctx, view, rest); err != nil {
		return 0, err
	}
	if _, err := b.output(ctx, b.temp, append([]string{"rmi"}, victims...)...); err != nil {
		return 0, fmt.Errorf("collect buildah's cache: %w", err)
	}
	after, err := b.view()
	if err != nil {
		return 0, err
	}
	return view.total() - after.total(), b.forget(after)
}

// cacheMounts begins the names of the folders that hold what steps keep from
// one build to the next (RUN --mount=type=cache).
const cacheMounts = "buildah-cache"

// collectMounts removes what steps keep, unless there is room for it.
func (b *Engine) collectMounts(room int64) (freed int64, err error) {
	dirs, err := filepath.Glob(filepath.Join(b.temp, cacheMounts+"*"))
	if err != nil || len(dirs) == 0 {
		return 0, err
	}
	for _, dir := range dirs {
		err = errors.Join(err, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				freed += info.Size()
			}
			return err
		}))
	}
	if err != nil || freed <= room {
		return 0, err
	}
	for _, dir := range dirs {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return freed, err
}

// protect gives a name to the images that stay and that others were built on:
// together with an image, buildah removes the nameless ones below it.
func (b *Engine) protect(ctx context.Context, v *cacheView, rest []*cached) error {
	below := map[string]bool{}
	for _, i := range v.images {
		if !slices.Contains(rest, i) {
			for _, layer := range i.chain {
				below[layer] = true
			}
		}
	}
	for _, i := range rest {
		if len(i.Names) > 0 || len(i.chain) == 0 || !below[i.chain[0]] {
			continue
		}
		if _, err := b.output(ctx, b.temp, "tag", i.ID, "localhost/gitboot/"+i.ID[:32]); err != nil {
			return fmt.Errorf("keep image %.12s in buildah's store: %w", i.ID, err)
		}
	}
	return nil
}
