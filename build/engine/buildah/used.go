package buildah

import (
	"errors"
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

// lastUse is when an image was made, or taken from the cache.
func (s *store) lastUse(id string) (time.Time, error) {
	var last time.Time
	for _, path := range []string{filepath.Join(s.root, s.driver+"-images", id), s.mark(id)} {
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

func (s *store) mark(id string) string { return filepath.Join(s.used, id) }

// note marks the images that a build has used.
func (s *store) note(ids map[string]bool) error {
	if err := os.MkdirAll(s.used, 0o700); err != nil {
		return err
	}
	now := time.Now()
	for id := range ids {
		if _, err := os.Stat(filepath.Join(s.root, s.driver+"-images", id)); err != nil {
			continue // a step has printed what looks like it
		}
		err := os.Chtimes(s.mark(id), now, now)
		if errors.Is(err, fs.ErrNotExist) {
			err = os.WriteFile(s.mark(id), nil, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// forget removes the marks of images that are gone.
func (s *store) forget(v *cacheView) error {
	marks, err := os.ReadDir(s.used)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, m := range marks {
		if !slices.ContainsFunc(v.images, func(i *cached) bool { return i.ID == m.Name() }) {
			err = errors.Join(err, os.Remove(s.mark(m.Name())))
		}
	}
	return err
}
