package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A wire is a real registry behind a handler that tests break.
type wire struct {
	*httptest.Server
	host string
	real http.Handler

	mu   sync.Mutex
	mid  func(w http.ResponseWriter, r *http.Request, next http.Handler)
	seen []string
}

func newWire(t testing.TB) *wire {
	t.Helper()
	w := &wire{real: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	w.Server = httptest.NewServer(w)
	t.Cleanup(w.Close)
	w.host = strings.TrimPrefix(w.URL, "http://")
	return w
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	mid := w.mid
	w.seen = append(w.seen, r.Method+" "+r.URL.Path)
	w.mu.Unlock()
	if mid == nil {
		w.real.ServeHTTP(rw, r)
		return
	}
	mid(rw, r, w.real)
}

// broken sets what stands between client and registry.
func (w *wire) broken(mid func(http.ResponseWriter, *http.Request, http.Handler)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mid, w.seen = mid, nil
}

// count is how many requests had both words in them.
func (w *wire) count(method, part string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.seen {
		if strings.HasPrefix(s, method) && strings.Contains(s, part) {
			n++
		}
	}
	return n
}

func (w *wire) push(t testing.TB, repo string, img v1.Image) string {
	t.Helper()
	ref, err := name.ParseReference(w.host+"/"+repo, name.Insecure)
	check(t, err)
	check(t, remote.Write(ref, img))
	d, err := img.Digest()
	check(t, err)
	return d.String()
}

// quick are options for a registry on plain HTTP with an impatient client.
func quick() Options {
	return Options{Insecure: true, Platform: "linux/amd64", Timing: Timing{
		Attempts: 3, Backoff: time.Millisecond, MaxWait: 50 * time.Millisecond, Idle: 5 * time.Second}}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// someTar is a tar with a file of size bytes that do not compress to nothing.
func someTar(t testing.TB, size int) []byte {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, uint64(size)))
	data := make([]byte, size)
	for i := range data {
		data[i] = "abcdefghijklmnopqrstuvwxyz012345"[rng.Uint32()%32]
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	check(t, w.WriteHeader(&tar.Header{Name: "usr/data", Size: int64(size), Mode: 0o644}))
	_, err := w.Write(data)
	check(t, err)
	check(t, w.Close())
	return buf.Bytes()
}

func gz(t testing.TB, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, err := w.Write(data)
	check(t, err)
	check(t, w.Close())
	return buf.Bytes()
}

func zst(t testing.TB, data []byte) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil)
	check(t, err)
	return e.EncodeAll(data, nil)
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(s[:])
}

// A blobLayer is a blob with the diff id of what is in it.
type blobLayer struct {
	v1.Layer
	diffID string
}

func (l blobLayer) DiffID() (v1.Hash, error) { return v1.NewHash(l.diffID) }

func layerOf(blob, content []byte, media types.MediaType) v1.Layer {
	return blobLayer{static.NewLayer(blob, media), sum(content)}
}

// imageOf is a linux/amd64 image with one label.
func imageOf(t testing.TB, layers ...v1.Layer) v1.Image {
	t.Helper()
	return imageFor(t, "amd64", layers...)
}

func imageFor(t testing.TB, arch string, layers ...v1.Layer) v1.Image {
	t.Helper()
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	img, err := mutate.AppendLayers(img, layers...)
	check(t, err)
	cf, err := img.ConfigFile()
	check(t, err)
	cf = cf.DeepCopy()
	cf.OS, cf.Architecture = "linux", arch
	cf.Config.Labels = map[string]string{"made": "for " + arch}
	cf.Created = v1.Time{Time: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)}
	img, err = mutate.ConfigFile(img, cf)
	check(t, err)
	return img
}

// pull reads every layer of an image to its end.
func pull(ref, digest string, opts Options) ([][]byte, error) {
	ctx := context.Background()
	img, err := Open(ctx, ref, digest, opts)
	if err != nil {
		return nil, err
	}
	return readLayers(img)
}

func readLayers(img *Image) (out [][]byte, err error) {
	for _, l := range img.Layers {
		data, err := readLayer(context.Background(), l)
		if err != nil {
			return nil, err
		}
		if got := sum(data); got != l.DiffID {
			return nil, fmt.Errorf("diff id %s, want %s", got, l.DiffID)
		}
		out = append(out, data)
	}
	return out, nil
}

func readLayer(ctx context.Context, l Layer) ([]byte, error) {
	rc, err := l.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return io.ReadAll(rc)
}
