package engine

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// The store's format is that of github.com/containers/storage: <driver>-images
// and <driver>-layers hold a JSON file each (images.go and layers.go there,
// Image and Layer). It is read, never written: that is buildah's.

type storedImage struct {
	ID    string   `json:"id"`
	Names []string `json:"names"`
	Layer string   `json:"layer"`
}

type storedLayer struct {
	ID     string `json:"id"`
	Parent string `json:"parent"`
	DiffID string `json:"diff-digest"`
	Size   int64  `json:"diff-size"`
}

// stored finds an image's highest layer and its configuration.
func (b *Buildah) stored(id string) (top string, config []byte, err error) {
	images, err := readStore[storedImage](filepath.Join(b.root, b.driver+"-images", "images.json"))
	if err != nil {
		return "", nil, err
	}
	i := slices.IndexFunc(images, func(i storedImage) bool { return i.ID == id })
	if i < 0 {
		return "", nil, fmt.Errorf("image %.12s: %w", id, ErrGone)
	}
	// Documents are stored by their name, "=" and its base64 where it holds
	// more than letters, digits and the like (bigDataName in utils.go there).
	name := "=" + base64.StdEncoding.EncodeToString([]byte("sha256:"+id))
	config, err = os.ReadFile(filepath.Join(b.root, b.driver+"-images", id, name))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("image %.12s lacks its configuration: %w", id, ErrGone)
	}
	return images[i].Layer, config, err
}

func readStore[T any](path string) ([]T, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []T
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		return nil, fmt.Errorf("read buildah's store: %w", err)
	}
	return out, nil
}

// image puts together what is known of an image whose highest layer is top.
func (b *Buildah) image(id, top string, config []byte) (Image, error) {
	img := Image{ID: "sha256:" + id, Config: config}
	var diffIDs []string
	var err error
	if img.Content, img.Digest, diffIDs, err = contentOf(config); err != nil {
		return Image{}, err
	}
	layers, err := readStore[storedLayer](filepath.Join(b.root, b.driver+"-layers", "layers.json"))
	if err != nil {
		return Image{}, err
	}
	byID := make(map[string]storedLayer, len(layers))
	for _, l := range layers {
		byID[l.ID] = l
	}
	for at := top; at != "" && len(img.Layers) <= len(diffIDs); {
		l, ok := byID[at]
		if !ok {
			return Image{}, fmt.Errorf("image %.12s lacks layer %.12s: %w", id, at, ErrGone)
		}
		img.Layers = append(img.Layers, Layer{DiffID: l.DiffID, Size: l.Size, Open: b.opener(l)})
		at = l.Parent
	}
	slices.Reverse(img.Layers)
	if !slices.EqualFunc(img.Layers, diffIDs, func(l Layer, diffID string) bool { return l.DiffID == diffID }) {
		return Image{}, fmt.Errorf("image %.12s: its layers in buildah's store are not those of its configuration; remove %s, and build again", id, b.root)
	}
	return img, nil
}

// opener streams a layer out of the store.
func (b *Buildah) opener(l storedLayer) func(context.Context) (io.ReadCloser, error) {
	split := filepath.Join(b.root, b.driver+"-layers", l.ID+".tar-split.gz")
	dir := b.layerDir(l.ID)
	return func(ctx context.Context) (io.ReadCloser, error) { return assemble(ctx, split, dir) }
}

// layerDir is where the store holds a layer's files.
func (b *Buildah) layerDir(id string) string {
	if b.driver == "vfs" {
		return filepath.Join(b.root, "vfs", "dir", id)
	}
	return filepath.Join(b.root, "overlay", id, "diff")
}
