package buildah

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

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/image/tarsplit"
)

// A store is what the program keeps, in the format of
// github.com/containers/storage: <driver>-images and <driver>-layers hold a JSON
// file each (images.go and layers.go there, Image and Layer). It is read, never
// written: that is the program's.
type store struct {
	root   string
	driver string // how layers are stored: overlay or vfs
	used   string // a folder of ours: see cache.go
}

func newStore(dir string) store {
	root := filepath.Join(dir, "store")
	return store{root: root, driver: driver(root), used: filepath.Join(dir, "used")}
}

// driver chooses how layers are stored: by overlayfs, unless the folder is
// itself on one, where the kernel allows no other.
func driver(dir string) string {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	for errors.Is(err, unix.ENOENT) && dir != "/" { // the store is not made yet
		dir = filepath.Dir(dir)
		err = unix.Statfs(dir, &st)
	}
	if err == nil && st.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "vfs"
	}
	return "overlay"
}

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

// images lists what is stored, whole or not yet.
func (s *store) images() ([]storedImage, error) {
	return readStore[storedImage](filepath.Join(s.root, s.driver+"-images", "images.json"))
}

// layers lists what the images are made of.
func (s *store) layers() ([]storedLayer, error) {
	return readStore[storedLayer](filepath.Join(s.root, s.driver+"-layers", "layers.json"))
}

// stored finds an image's highest layer and its configuration.
func (s *store) stored(id string) (top string, config []byte, err error) {
	images, err := s.images()
	if err != nil {
		return "", nil, err
	}
	i := slices.IndexFunc(images, func(i storedImage) bool { return i.ID == id })
	if i < 0 {
		return "", nil, fmt.Errorf("image %.12s: %w", id, engine.ErrGone)
	}
	// Documents are stored by their name, "=" and its base64 where it holds
	// more than letters, digits and the like (bigDataName in utils.go there).
	name := "=" + base64.StdEncoding.EncodeToString([]byte("sha256:"+id))
	config, err = os.ReadFile(filepath.Join(s.root, s.driver+"-images", id, name))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("image %.12s lacks its configuration: %w", id, engine.ErrGone)
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

// image puts together what is known of an image.
func (s *store) image(id string) (engine.Image, error) {
	top, config, err := s.stored(id)
	if err != nil {
		return engine.Image{}, err
	}
	layers, err := s.layers()
	if err != nil {
		return engine.Image{}, err
	}
	parents, byID := map[string]string{}, map[string]storedLayer{}
	for _, l := range layers {
		parents[l.ID], byID[l.ID] = l.Parent, l
	}
	img := engine.Image{ID: "sha256:" + id, Config: config}
	for _, at := range slices.Backward(chain(top, parents)) {
		l, ok := byID[at]
		if !ok {
			return engine.Image{}, fmt.Errorf("image %.12s lacks layer %.12s: %w", id, at, engine.ErrGone)
		}
		img.Layers = append(img.Layers, engine.Layer{DiffID: l.DiffID, Size: l.Size, Open: s.opener(l)})
	}
	whole, err := img.Identify()
	if err == nil && !whole {
		err = fmt.Errorf("image %.12s: its layers in buildah's store are not those of its configuration; remove %s, and build again", id, s.root)
	}
	if err != nil {
		return engine.Image{}, err
	}
	return img, nil
}

// chain lists a layer and those below it.
func chain(top string, parents map[string]string) (out []string) {
	for at := top; at != "" && len(out) <= len(parents); at = parents[at] {
		out = append(out, at)
	}
	return out
}

// opener streams a layer out of the store.
func (s *store) opener(l storedLayer) func(context.Context) (io.ReadCloser, error) {
	split := filepath.Join(s.root, s.driver+"-layers", l.ID+".tar-split.gz")
	dir := s.layerDir(l.ID)
	return func(ctx context.Context) (io.ReadCloser, error) { return tarsplit.FromFolder(ctx, split, dir) }
}

// layerDir is where the store holds a layer's files.
func (s *store) layerDir(id string) string {
	if s.driver == "vfs" {
		return filepath.Join(s.root, "vfs", "dir", id)
	}
	return filepath.Join(s.root, "overlay", id, "diff")
}

// inLayer looks for a path in what the store holds of a layer.
func (s *store) inLayer(layer, name string) (mode fs.FileMode, there bool, err error) {
	root, err := os.OpenRoot(s.layerDir(layer))
	if err != nil {
		return 0, false, err
	}
	defer root.Close()
	info, err := root.Lstat(name)
	if err != nil {
		return 0, false, nil // it is not there, or a link leads elsewhere
	}
	return info.Mode(), true, nil
}
