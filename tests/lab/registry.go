package lab

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// A Registry is an OCI registry on loopback, in this process, without TLS or
// passwords. Its blobs are files, so that images may be large.
type Registry struct {
	// Addr is its host:port.
	Addr string

	dir    string
	server *http.Server
}

// NewRegistry starts a registry that keeps its blobs below dir.
func NewRegistry(dir string) (*Registry, error) {
	return NewWatchedRegistry(dir, func(h http.Handler) http.Handler { return h })
}

// NewWatchedRegistry is NewRegistry with a handler around the registry's own.
func NewWatchedRegistry(dir string, watch func(http.Handler) http.Handler) (*Registry, error) {
	for _, sub := range []string{"blobs", "push"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	handler := registry.New(
		registry.WithBlobHandler(newBlobs(filepath.Join(dir, "blobs"))),
		registry.Logger(log.New(io.Discard, "", 0)))
	r := &Registry{Addr: listener.Addr().String(), dir: dir, server: &http.Server{Handler: watch(handler)}}
	go r.server.Serve(listener)
	return r, nil
}

// Close stops the registry and cuts its connections. The blobs stay.
func (r *Registry) Close() error { return r.server.Close() }

// blobs are files named by their digests. The library's own handler hashes a
// blob whenever it is asked for, which no registry that people run does: a
// pull would wait for it.
type blobs struct {
	registry.BlobHandler
	registry.BlobPutHandler
	dir string
}

func newBlobs(dir string) blobs {
	h := registry.NewDiskBlobHandler(dir)
	return blobs{h, h.(registry.BlobPutHandler), dir}
}

// Stat implements registry.BlobStatHandler.
func (b blobs) Stat(_ context.Context, _ string, h v1.Hash) (int64, error) {
	info, err := os.Stat(filepath.Join(b.dir, h.Algorithm, h.Hex))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, registry.ErrNotFound
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Compressions of a Layer.
const (
	Zstd = "zstd"
	Gzip = "gzip"
	None = "none"
)

// A Layer is a tar to be pushed.
type Layer struct {
	// Path is the uncompressed tar.
	Path string
	// Compression is Zstd, Gzip or None; Zstd if empty.
	Compression string
	// Packed is the compressed tar; it is made if this is empty.
	Packed string
	// Annotations are the layer's in the manifest.
	Annotations map[string]string
}

// Push stores an image of the layers, lowest first, under repo:tag and returns
// its reference and its digest.
func (r *Registry) Push(ctx context.Context, repoTag string, labels map[string]string, layers ...Layer) (ref, digest string, err error) {
	ref = r.Addr + "/" + repoTag
	tag, err := name.NewTag(ref, name.Insecure)
	if err != nil {
		return "", "", err
	}
	img, err := r.image(labels, layers)
	if err != nil {
		return "", "", fmt.Errorf("make the image %s: %w", repoTag, err)
	}
	if err := remote.Write(tag, img, remote.WithContext(ctx)); err != nil {
		return "", "", err
	}
	h, err := img.Digest()
	return ref, h.String(), err
}

func (r *Registry) image(labels map[string]string, layers []Layer) (v1.Image, error) {
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS: "linux", Architecture: "amd64",
		Config: v1.Config{Labels: labels},
		RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	img = mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, layer := range layers {
		b, err := compress(layer, filepath.Join(r.dir, "push"))
		if err != nil {
			return nil, err
		}
		if img, err = mutate.Append(img, mutate.Addendum{Layer: b, Annotations: layer.Annotations}); err != nil {
			return nil, err
		}
	}
	return img, nil
}

// A blob is a compressed layer in a file. It is a v1.Layer.
type blob struct {
	layer          Layer
	path           string
	digest, diffID v1.Hash
	size           int64
}

func (b *blob) Digest() (v1.Hash, error)             { return b.digest, nil }
func (b *blob) DiffID() (v1.Hash, error)             { return b.diffID, nil }
func (b *blob) Compressed() (io.ReadCloser, error)   { return os.Open(b.path) }
func (b *blob) Uncompressed() (io.ReadCloser, error) { return os.Open(b.layer.Path) }
func (b *blob) Size() (int64, error)                 { return b.size, nil }

func (b *blob) MediaType() (types.MediaType, error) {
	switch b.layer.Compression {
	case Gzip:
		return types.OCILayer, nil
	case None:
		return types.OCIUncompressedLayer, nil
	}
	return types.OCILayerZStd, nil
}

// packed is the blob of a layer that has been compressed.
func packed(layer Layer) (*blob, error) {
	digest, size, err := hashed(layer.Packed)
	if err != nil {
		return nil, err
	}
	diffID, _, err := hashed(layer.Path)
	return &blob{layer, layer.Packed, digest, diffID, size}, err
}

func hashed(path string) (v1.Hash, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return v1.Hash{}, 0, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	return sha(sum), n, err
}

// compress makes the blob of a layer in one pass.
func compress(layer Layer, dir string) (_ *blob, err error) {
	if layer.Packed != "" {
		return packed(layer)
	}
	in, err := os.Open(layer.Path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	out, err := os.CreateTemp(dir, "layer-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	digest, diffID := sha256.New(), sha256.New()
	w, err := compressor(io.MultiWriter(out, digest), layer.Compression)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(w, io.TeeReader(in, diffID)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	info, err := out.Stat()
	if err != nil {
		return nil, err
	}
	return &blob{layer, out.Name(), sha(digest), sha(diffID), info.Size()}, nil
}

func compressor(w io.Writer, kind string) (io.WriteCloser, error) {
	switch kind {
	case "", Zstd:
		return zstd.NewWriter(w)
	case Gzip:
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	case None:
		return nopCloser{w}, nil
	}
	return nil, fmt.Errorf("there is no compression %q", kind)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func sha(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}
