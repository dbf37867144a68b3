// Package blobs keeps images for engines that have no store here, or none that can
// be read: as the blobs of an OCI layout, not compressed, so that a layer's
// digest is its diff id.
package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/oci"
	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
	"github.com/gitboot/gitboot/internal/durable"
)

// A Store is a folder of images in the form that package protocol says. For a
// BuildKit daemon, gitboot-buildkit writes to it what was built; what is imported
// is written here. Its methods are those of an engine that concern images.
type Store struct {
	// Dir is the store's own folder, in that of all engines.
	Dir string
}

// Make makes the store's folders.
func (b *Store) Make() error {
	for _, dir := range []string{filepath.Dir(b.Dir), oci.Blobs(b.Dir), filepath.Join(b.Dir, protocol.IngestFolder)} {
		if err := durable.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the folder of built images: %w", err)
		}
	}
	return nil
}

// Import implements Engine.
func (b *Store) Import(ctx context.Context, layout string) (engine.Image, error) {
	var index struct{ Manifests []oci.Descriptor }
	if err := oci.ReadJSON(filepath.Join(layout, "index.json"), &index); err != nil {
		return engine.Image{}, fmt.Errorf("read the base: %w", err)
	}
	if len(index.Manifests) != 1 {
		return engine.Image{}, fmt.Errorf("read the base: %d images are in its layout, want 1", len(index.Manifests))
	}
	top := index.Manifests[0]
	var m oci.Manifest
	if err := oci.ReadJSON(oci.Blob(layout, top.Digest), &m); err != nil {
		return engine.Image{}, fmt.Errorf("read the base: %w", err)
	}
	if err := b.Make(); err != nil {
		return engine.Image{}, err
	}
	for _, blob := range append(m.Blobs(), top) { // the manifest last: it makes an image of the others
		if err := b.copyBlob(ctx, layout, blob); err != nil {
			return engine.Image{}, engine.ExplainFull(b.Dir, fmt.Errorf("import the base: %w", err))
		}
	}
	return b.Image(ctx, top.Digest)
}

func (b *Store) copyBlob(ctx context.Context, layout string, blob oci.Descriptor) (err error) {
	path := oci.Blob(b.Dir, blob.Digest)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	out, sum, err := durable.Copy(ctx, b.Dir, 0o600, oci.Blob(layout, blob.Digest))
	if err != nil {
		return err
	}
	defer out.Discard()
	if got := "sha256:" + sum; got != blob.Digest {
		return fmt.Errorf("blob %s is in truth %s", blob.Digest, got)
	}
	return out.Publish(path)
}

// Image implements Engine.
func (b *Store) Image(_ context.Context, id string) (engine.Image, error) {
	m, err := b.Manifest(id)
	if err != nil {
		return engine.Image{}, err
	}
	config, err := oci.Read(oci.Blob(b.Dir, m.Config.Digest))
	if err != nil {
		return engine.Image{}, gone(id, err)
	}
	img := engine.Image{ID: id, Config: config}
	for _, l := range m.Layers {
		path := oci.Blob(b.Dir, l.Digest)
		info, err := os.Stat(path)
		if err != nil {
			return engine.Image{}, gone(id, err)
		}
		open := func(context.Context) (io.ReadCloser, error) { return os.Open(path) }
		img.Layers = append(img.Layers, engine.Layer{DiffID: l.Digest, Size: info.Size(), Open: open})
	}
	whole, err := img.Identify()
	if err == nil && !whole {
		err = fmt.Errorf("image %.19s: the builder has not given its layers as uncompressed tars; use a newer buildkitd", id)
	}
	if err != nil {
		return engine.Image{}, err
	}
	return img, nil
}

// Manifest reads the manifest of a stored image.
func (b *Store) Manifest(id string) (m oci.Manifest, err error) {
	if !oci.IsDigest(id) {
		return m, fmt.Errorf("image %q: %w", id, engine.ErrGone)
	}
	if err := oci.ReadJSON(oci.Blob(b.Dir, id), &m); err != nil {
		return m, gone(id, err)
	}
	for _, blob := range m.Blobs() {
		if !oci.IsDigest(blob.Digest) {
			return m, fmt.Errorf("image %.19s: %q in its manifest is no digest: %w", id, blob.Digest, engine.ErrGone)
		}
	}
	return m, nil
}

// gone turns the lack of a file into that of the image.
func gone(id string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("image %.19s: %w", id, engine.ErrGone)
	}
	return fmt.Errorf("read image %.19s: %w", id, err)
}

// Clean implements Engine: it removes what cut transfers have left here. The
// builder ends a build by itself when nobody waits for it any more.
func (b *Store) Clean(context.Context) error {
	ingest := filepath.Join(b.Dir, protocol.IngestFolder)
	left, err := os.ReadDir(ingest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range left {
		err = errors.Join(err, os.RemoveAll(filepath.Join(ingest, e.Name())))
	}
	imported, err2 := filepath.Glob(filepath.Join(b.Dir, durable.TempPrefix+"*"))
	err = errors.Join(err, err2)
	for _, path := range imported {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
