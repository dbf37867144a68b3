package image

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"

	"github.com/gitboot/gitboot/internal/durable"
)

// bomb is a gzip of a tar with a file of so many zeros: a thousandth of them.
func bomb(t *testing.T, size int64) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	check(t, err)
	w := tar.NewWriter(z)
	check(t, w.WriteHeader(&tar.Header{Name: "usr/zeros", Size: size, Mode: 0o644}))
	block := make([]byte, 1<<20)
	for n := int64(0); n < size; n += int64(len(block)) {
		_, err := w.Write(block)
		check(t, err)
	}
	check(t, w.Close())
	check(t, z.Close())
	return out.Bytes()
}

// drain reads a layer and says how much came.
func drain(l Layer) (int64, error) {
	rc, err := l.Open(context.Background())
	if err != nil {
		return 0, err
	}
	defer rc.Close()
	return io.Copy(io.Discard, rc)
}

// A layer is small when it is stored and large when it is not, wherever it lies.
func TestLayerThatExpands(t *testing.T) {
	const size = 600 << 20
	blob := bomb(t, size)
	w := newWire(t)
	image := imageOf(t, layerOf(blob, []byte("what it claims"), types.OCILayer))
	digest := w.push(t, "app:1", image)
	dir := t.TempDir()
	for what, open := range map[string]func(Options) (*Image, error){
		"registry": func(opts Options) (*Image, error) {
			return Open(context.Background(), w.host+"/app:1", digest, opts)
		},
		"archive": func(opts Options) (*Image, error) {
			path := writeFile(t, dir+"/bomb.tar.gz", string(blob))
			return OpenArchive(context.Background(), ArchivePlace{Path: path}, opts)
		},
		"docker save": func(opts Options) (*Image, error) {
			path := dir + "/saved.tar"
			check(t, tarball.WriteToFile(path, name.MustParseReference("app:1"), image))
			return OpenArchive(context.Background(), ArchivePlace{Path: path}, opts)
		},
	} {
		t.Run(what, func(t *testing.T) {
			read := func(e Expansion) (int64, error) {
				opts := quick()
				opts.Expansion = e
				img, err := open(opts)
				if err != nil {
					return 0, err
				}
				return drain(img.Layers[0])
			}
			n, err := read(Expansion{})
			wantError[*ExpansionError](t, err, "holds more than", "layer_size", "agent.toml")
			if n > 570e6 {
				t.Errorf("%d bytes came", n)
			}
			// Whoever says so gets it, and no more.
			if n, err := read(Expansion{Size: 1e9, Declared: true}); n < size {
				t.Errorf("only %d bytes came: %v", n, err)
			}
			_, err = read(Expansion{Size: 1e6, Declared: true})
			wantError[*ExpansionError](t, err, "more than 1.0 MB")
		})
	}
}

func TestExpansionBound(t *testing.T) {
	for _, c := range []struct {
		e            Expansion
		stored, want int64
	}{
		{Expansion{}, 0, 16e9},
		{Expansion{}, 1, 500e6 + 100},
		{Expansion{}, 8_700_000, 500e6 + 870e6},
		{Expansion{}, 4 << 30, 16e9},
		{Expansion{}, 1 << 62, 16e9},
		{Expansion{Size: 30e9}, 1 << 30, 30e9},
		{Expansion{Size: 1e6}, 1 << 20, 1e6},
		{Expansion{Size: 30e9, Declared: true}, 1, 30e9},
		{Expansion{File: 1000}, 0, 500e6 + 100_000},
		{Expansion{File: 1000}, 1 << 40, 500e6 + 100_000},
		{Expansion{File: 1 << 40}, 1, 500e6 + 100},
	} {
		if got := c.e.Bound(c.stored); got != c.want {
			t.Errorf("%+v of %d stored bytes: %d, want %d", c.e, c.stored, got, c.want)
		}
	}
}

// A server that does not say how much it sends, and does not stop.
func TestEndlessDownload(t *testing.T) {
	s := serveFile(t, nil)
	block := make([]byte, 1<<20)
	s.before = func(w http.ResponseWriter, _ int) bool {
		for {
			if _, err := w.Write(block); err != nil {
				return true
			}
		}
	}
	opts := cached(t)
	try := func(opts Options) error {
		_, err := OpenArchive(context.Background(), ArchivePlace{URL: s.URL, SHA256: sum(nil)}, opts)
		if left, _ := os.ReadDir(opts.CacheDir); len(left) > 0 {
			t.Errorf("left in the cache: %v", left)
		}
		return err
	}
	large := opts
	large.Expansion.Size = 50e6
	wantError[*ExpansionError](t, try(large), "the download", "more than 50.0 MB")

	check(t, os.MkdirAll(opts.CacheDir, 0o700))
	free, err := durable.FreeSpace(opts.CacheDir)
	check(t, err)
	full := opts
	full.Reserve = free - 64<<20
	wantWords(t, try(full), "may be written", "make room there")
}
