package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Buildah keeps the image of every step. Which of them its next builds will
// ask for is not known: those that were used last are kept. An image was used
// when it was made, and when a build took it from the cache, which buildah
// does not note: marks are files in the folder used, named by the image.

// A cached is an image of the store on the scale.
type cached struct {
	storedImage
	chain []string // its layers, highest first
	last  time.Time
}

// A cacheView is what the store holds.
type cacheView struct {
	images []*cached
	sizes  map[string]int64 // of layers
}

// total is the size of all layers.
func (v *cacheView) total() (n int64) {
	for _, size := range v.sizes {
		n += size
	}
	return n
}

// Collect implements Engine.
func (b *Buildah) Collect(ctx context.Context, keep []string, limit int64) (freed int64, err error) {
	view, err := b.view()
	if err != nil {
		return 0, err
	}
	freed, err = b.collectMounts(limit - view.total())
	if err != nil || view.total() <= limit {
		return freed, err
	}
	var victims []string
	rest := view.choose(keep, limit)
	for _, i := range view.images {
		if !slices.Contains(rest, i) {
			victims = append(victims, i.ID)
		}
	}
	if len(victims) == 0 {
		return freed, nil
	}
	if err := b.Clean(ctx); err != nil { // containers of cut builds would hold on to images
		return freed, err
	}
	if err := b.protect(ctx, view, rest); err != nil {
		return freed, err
	}
	if _, err := b.output(ctx, b.temp, append([]string{"rmi"}, victims...)...); err != nil {
		return freed, fmt.Errorf("collect buildah's cache: %w", err)
	}
	after, err := b.view()
	if err != nil {
		return freed, err
	}
	return freed + view.total() - after.total(), b.forget(after)
}

// cacheMounts begins the names of the folders that hold what steps keep from
// one build to the next (RUN --mount=type=cache).
const cacheMounts = "buildah-cache"

// collectMounts removes what steps keep, unless there is room for it.
func (b *Buildah) collectMounts(room int64) (freed int64, err error) {
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

// choose returns the images that stay: those to be kept, those that share all
// their layers with them, and of the others those that were used last.
func (v *cacheView) choose(keep []string, limit int64) []*cached {
	users, needed := map[string]int{}, map[string]bool{}
	for _, i := range v.images {
		for _, layer := range i.chain {
			users[layer]++
			needed[layer] = needed[layer] || slices.Contains(keep, "sha256:"+i.ID)
		}
	}
	var stays, others []*cached
	for _, i := range v.images {
		if slices.Contains(keep, "sha256:"+i.ID) || !slices.ContainsFunc(i.chain, func(l string) bool { return !needed[l] }) {
			stays = append(stays, i)
		} else {
			others = append(others, i)
		}
	}
	slices.SortFunc(others, func(x, y *cached) int { // children before their parents
		return cmp.Or(x.last.Compare(y.last), cmp.Compare(len(y.chain), len(x.chain)), cmp.Compare(x.ID, y.ID))
	})
	for total := v.total(); total > limit && len(others) > 0; others = others[1:] {
		for _, layer := range others[0].chain {
			if users[layer]--; users[layer] == 0 {
				total -= v.sizes[layer]
			}
		}
	}
	return append(stays, others...)
}

// protect gives a name to the images that stay and that others were built on:
// together with an image, buildah removes the nameless ones below it.
func (b *Buildah) protect(ctx context.Context, v *cacheView, rest []*cached) error {
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

// view reads the store.
func (b *Buildah) view() (*cacheView, error) {
	images, err := readStore[storedImage](filepath.Join(b.root, b.driver+"-images", "images.json"))
	layers, err2 := readStore[storedLayer](filepath.Join(b.root, b.driver+"-layers", "layers.json"))
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	parents, sizes := map[string]string{}, map[string]int64{}
	for _, l := range layers {
		parents[l.ID], sizes[l.ID] = l.Parent, l.Size
	}
	v := &cacheView{sizes: map[string]int64{}}
	for _, l := range layers {
		v.sizes[l.ID] = l.Size
		if b.driver == "vfs" { // every layer holds all that is below it
			for _, below := range chain(l.Parent, parents) {
				v.sizes[l.ID] += sizes[below]
			}
		}
	}
	for _, i := range images {
		c := &cached{storedImage: i, chain: chain(i.Layer, parents)}
		if c.last, err = b.lastUse(i.ID); err != nil {
			return nil, err
		}
		v.images = append(v.images, c)
	}
	v.raise()
	return v, nil
}

// raise makes parents as recent as their children.
func (v *cacheView) raise() {
	used := map[string]time.Time{} // layers that others are built on
	for _, i := range v.images {
		for _, layer := range i.chain[min(1, len(i.chain)):] {
			if i.last.After(used[layer]) {
				used[layer] = i.last
			}
		}
	}
	for _, i := range v.images {
		if used[i.Layer].After(i.last) {
			i.last = used[i.Layer]
		}
	}
}

// chain lists a layer and those below it.
func chain(top string, parents map[string]string) (out []string) {
	for at := top; at != "" && len(out) <= len(parents); at = parents[at] {
		out = append(out, at)
	}
	return out
}

// lastUse is when an image was made, or taken from the cache.
func (b *Buildah) lastUse(id string) (time.Time, error) {
	var last time.Time
	for _, path := range []string{filepath.Join(b.root, b.driver+"-images", id), b.mark(id)} {
		info, err := os.Stat(path)
		switch {
		case err == nil && info.ModTime().After(last):
			last = info.ModTime()
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return last, err
		}
	}
	return last, nil
}

func (b *Buildah) marks() string { return filepath.Join(filepath.Dir(b.root), "used") }

func (b *Buildah) mark(id string) string { return filepath.Join(b.marks(), id) }

// note marks the images that a build has used.
func (b *Buildah) note(ids map[string]bool) error {
	if err := os.MkdirAll(b.marks(), 0o700); err != nil {
		return err
	}
	now := time.Now()
	for id := range ids {
		if _, err := os.Stat(filepath.Join(b.root, b.driver+"-images", id)); err != nil {
			continue // a step has printed what looks like it
		}
		err := os.Chtimes(b.mark(id), now, now)
		if errors.Is(err, fs.ErrNotExist) {
			err = os.WriteFile(b.mark(id), nil, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// forget removes the marks of images that are gone.
func (b *Buildah) forget(v *cacheView) error {
	marks, err := os.ReadDir(b.marks())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, m := range marks {
		if !slices.ContainsFunc(v.images, func(i *cached) bool { return i.ID == m.Name() }) {
			err = errors.Join(err, os.Remove(b.mark(m.Name())))
		}
	}
	return err
}
