// Package oci has what engines share of the image specification
// (github.com/opencontainers/image-spec): descriptors and manifests, blobs in
// files named by their digests, and folders in the form of image-layout.md.
// Layers are never compressed here.
package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Media types of the specification.
const (
	MediaConfig   = "application/vnd.oci.image.config.v1+json"
	MediaManifest = "application/vnd.oci.image.manifest.v1+json"
	MediaLayer    = "application/vnd.oci.image.layer.v1.tar"
)

// MaxDocument is how large a manifest or configuration may be, in bytes.
const MaxDocument = 4 << 20

// A Descriptor names a blob.
type Descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"` // sha256:<hex>
	Size      int64  `json:"size"`
}

// A Manifest is what is read of one.
type Manifest struct {
	MediaType string       `json:"mediaType"`
	Config    Descriptor   `json:"config"`
	Layers    []Descriptor `json:"layers"`
}

// Blobs lists what an image is made of besides its manifest.
func (m *Manifest) Blobs() []Descriptor { return append(slices.Clone(m.Layers), m.Config) }

// ManifestOf is a manifest as it is stored.
func ManifestOf(config Descriptor, layers []Descriptor) any {
	return map[string]any{"schemaVersion": 2, "mediaType": MediaManifest, "config": config, "layers": layers}
}

// Marshal returns a document as it is stored, and its descriptor.
func Marshal(media string, v any) (data []byte, d Descriptor, err error) {
	if data, err = json.Marshal(v); err != nil {
		return nil, Descriptor{}, err
	}
	return data, Descriptor{media, Digest(data), int64(len(data))}, nil
}

var digest = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^sha256:[0-9a-f]{64}$`) })

// IsDigest tells whether a text is the digest of a blob.
func IsDigest(text string) bool { return digest().MatchString(text) }

// Digest is that of a document.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Blob is the file of a blob in a layout's folder.
func Blob(dir, digest string) string {
	return filepath.Join(Blobs(dir), strings.TrimPrefix(digest, "sha256:"))
}

// Blobs is the folder of all blobs of a layout.
func Blobs(dir string) string { return filepath.Join(dir, "blobs", "sha256") }

// Read reads what should be small, whoever has written it.
func Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxDocument+1))
	if err == nil && len(data) > MaxDocument {
		err = fmt.Errorf("%s is longer than %d bytes", path, MaxDocument)
	}
	return data, err
}

// ReadJSON reads a document into v.
func ReadJSON(path string, v any) error {
	data, err := Read(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}
