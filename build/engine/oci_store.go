package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/internal/durable"
)

// An ociStore is a folder of images in the form that protocol says. For a BuildKit
// daemon, gitboot-buildkit writes to it what was built; this file what is
// imported.
type ociStore struct{ dir string }

// maxDocument is how large a manifest or configuration may be.
const maxDocument = 4 << 20

// An ociManifest is what is read of a manifest.
type ociManifest struct {
	MediaType string       `json:"mediaType"`
	Config    descriptor   `json:"config"`
	Layers    []descriptor `json:"layers"`
}

// blobs lists what an image is made of besides its manifest.
func (m *ociManifest) blobs() []descriptor { return append(slices.Clone(m.Layers), m.Config) }

func (b *ociStore) make() error {
	for _, dir := range []string{filepath.Dir(b.dir), filepath.Join(b.dir, "blobs", "sha256"), filepath.Join(b.dir, protocol.IngestFolder)} {
		if err := durable.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the folder of built images: %w", err)
		}
	}
	return nil
}

// Import implements Engine.
func (b *ociStore) Import(ctx context.Context, layout string) (Image, error) {
	var index struct{ Manifests []descriptor }
	if err := readJSON(filepath.Join(layout, "index.json"), &index); err != nil {
		return Image{}, fmt.Errorf("read the base: %w", err)
	}
	if len(index.Manifests) != 1 {
		return Image{}, fmt.Errorf("read the base: %d images are in its layout, want 1", len(index.Manifests))
	}
	top := index.Manifests[0]
	var m ociManifest
	if err := readJSON(blobFile(layout, top.Digest), &m); err != nil {
		return Image{}, fmt.Errorf("read the base: %w", err)
	}
	if err := b.make(); err != nil {
		return Image{}, err
	}
	for _, blob := range append(m.blobs(), top) { // the manifest last: it makes an image of the others
		if err := b.copyBlob(ctx, layout, blob); err != nil {
			return Image{}, explainFull(b.dir, fmt.Errorf("import the base: %w", err))
		}
	}
	return b.Image(ctx, top.Digest)
}

func (b *ociStore) copyBlob(ctx context.Context, layout string, blob descriptor) (err error) {
	path := blobFile(b.dir, blob.Digest)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	in, err := os.Open(blobFile(layout, blob.Digest))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := durable.Create(b.dir, 0o600)
	if err != nil {
		return err
	}
	defer out.Discard()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, h), ctxio.Reader(ctx, in)); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(h.Sum(nil)); got != blob.Digest {
		return fmt.Errorf("blob %s is in truth %s", blob.Digest, got)
	}
	return out.Publish(path)
}

func blobFile(dir, digest string) string { return blobPath(dir, strings.TrimPrefix(digest, "sha256:")) }

func readJSON(path string, v any) error {
	data, err := readDocument(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// readDocument reads what should be small, whoever has written it.
func readDocument(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err == nil && len(data) > maxDocument {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxDocument)
	}
	return data, err
}

// Image implements Engine.
func (b *ociStore) Image(_ context.Context, id string) (Image, error) {
	m, err := b.manifest(id)
	if err != nil {
		return Image{}, err
	}
	config, err := readDocument(blobFile(b.dir, m.Config.Digest))
	if err != nil {
		return Image{}, gone(id, err)
	}
	img := Image{ID: id, Config: config}
	var diffIDs []string
	if img.Content, img.Digest, diffIDs, err = contentOf(config); err != nil {
		return Image{}, err
	}
	for _, l := range m.Layers {
		path := blobFile(b.dir, l.Digest)
		info, err := os.Stat(path)
		if err != nil {
			return Image{}, gone(id, err)
		}
		open := func(context.Context) (io.ReadCloser, error) { return os.Open(path) }
		img.Layers = append(img.Layers, Layer{DiffID: l.Digest, Size: info.Size(), Open: open})
	}
	if !slices.EqualFunc(img.Layers, diffIDs, func(l Layer, diffID string) bool { return l.DiffID == diffID }) {
		return Image{}, fmt.Errorf("image %.19s: the builder has not given its layers as uncompressed tars; use a newer buildkitd", id)
	}
	return img, nil
}

var sha256Digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// manifest reads the manifest of a stored image.
func (b *ociStore) manifest(id string) (m ociManifest, err error) {
	if !sha256Digest.MatchString(id) {
		return m, fmt.Errorf("image %q: %w", id, ErrGone)
	}
	if err := readJSON(blobFile(b.dir, id), &m); err != nil {
		return m, gone(id, err)
	}
	for _, blob := range m.blobs() {
		if !sha256Digest.MatchString(blob.Digest) {
			return m, fmt.Errorf("image %.19s: %q in its manifest is no digest: %w", id, blob.Digest, ErrGone)
		}
	}
	return m, nil
}

// gone turns the lack of a file into that of the image.
func gone(id string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("image %.19s: %w", id, ErrGone)
	}
	return fmt.Errorf("read image %.19s: %w", id, err)
}

// Clean implements Engine: it removes what cut transfers have left here. The
// builder ends a build by itself when nobody waits for it any more.
func (b *ociStore) Clean(context.Context) error {
	ingest := filepath.Join(b.dir, protocol.IngestFolder)
	left, err := os.ReadDir(ingest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range left {
		err = errors.Join(err, os.RemoveAll(filepath.Join(ingest, e.Name())))
	}
	imported, err2 := filepath.Glob(filepath.Join(b.dir, durable.TempPrefix+"*"))
	err = errors.Join(err, err2)
	for _, path := range imported {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
