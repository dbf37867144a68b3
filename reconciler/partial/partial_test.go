package partial

import (
	"archive/tar"
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const fileCount, fileSize = 16, 200_000

// noise does not compress, and is another one for each seed.
func noise(seed uint64, n int) []byte {
	r, content := rand.New(rand.NewPCG(seed, 0)), make([]byte, n)
	for i := range content {
		content[i] = byte(r.Uint32())
	}
	return content
}

// layerTar writes a layer: files of noise, of which those named are other ones, one with a
// hole, one of text, one that is empty, and a long name.
func layerTar(t *testing.T, changed ...int) (path string) {
	t.Helper()
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	add := func(h tar.Header, content []byte) {
		h.Mode, h.Size = 0o644, int64(len(content))
		must(t, w.WriteHeader(&h))
		_, err := w.Write(content)
		must(t, err)
	}
	add(tar.Header{Name: "usr/", Typeflag: tar.TypeDir}, nil)
	for n := range fileCount {
		seed := uint64(n)
		if slices.Contains(changed, n) {
			seed += 1000
		}
		add(tar.Header{Name: fmt.Sprintf("usr/%02d", n)}, noise(seed, fileSize))
	}
	add(tar.Header{Name: "usr/hole"}, slices.Concat(noise(100, 5000), make([]byte, 300_000), noise(101, 70_000)))
	add(tar.Header{Name: "usr/text"}, []byte("text\n"))
	add(tar.Header{Name: "usr/same"}, []byte("text\n"))
	add(tar.Header{Name: "usr/empty"}, nil)
	add(tar.Header{Name: "usr/" + strings.Repeat("long/", 60) + "name", PAXRecords: map[string]string{"SCHILY.xattr.user.a": "b"}}, []byte("far away\n"))
	add(tar.Header{Name: "usr/link", Typeflag: tar.TypeLink, Linkname: "usr/00"}, nil)
	must(t, w.Close())
	path = filepath.Join(t.TempDir(), "layer.tar")
	must(t, os.WriteFile(path, data.Bytes(), 0o600))
	return path
}

// A shelf is a registry that counts what it sends of blobs.
type shelf struct {
	*lab.Registry
	sent atomic.Int64
	// before is asked before the registry, nil for nobody.
	before func(w http.ResponseWriter, r *http.Request, next http.Handler)
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	need.Programs(t, "tar2sqfs", "go")
	s := &shelf{}
	registry, err := lab.NewWatchedRegistry(t.TempDir(), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
				w = meter{w, &s.sent}
			}
			if s.before != nil {
				s.before(w, r, next)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	must(t, err)
	t.Cleanup(func() { registry.Close() })
	s.Registry = registry
	return s
}

type meter struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (m meter) Write(p []byte) (int, error) {
	n, err := m.ResponseWriter.Write(p)
	m.sent.Add(int64(n))
	return n, err
}

// push pushes an image of one layer in chunks.
func (s *shelf) push(t *testing.T, tar string) (ref string) {
	t.Helper()
	l, err := lab.Chunked(t.Context(), tar)
	must(t, err)
	ref, _, err = s.Push(t.Context(), "desktop:1", nil, l)
	must(t, err)
	return ref
}

// A machine follows an image.
type machine struct {
	*stage.Stage
	log bytes.Buffer
	// had is what it has of it.
	had []deployment.Object
	// size is that of the layer that was pulled last, in the registry.
	size int64
	// measuredFrom is the Finder's.
	measuredFrom int64
	// mirrors are asked before the registry.
	mirrors []string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	st, err := stage.Create(filepath.Join(t.TempDir(), "stage"))
	must(t, err)
	m := &machine{Stage: st}
	m.Log = slog.New(slog.NewTextHandler(&m.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return m
}

// pull stages what an image is now, and returns what was promised to be fetched, 0 of all
// of it.
func (m *machine) pull(t *testing.T, ref string) (promised int64) {
	t.Helper()
	img, err := image.Open(t.Context(), ref, "", image.Options{Insecure: true, Mirrors: m.mirrors, Log: m.Log, Timing: image.Timing{Attempts: 2, Backoff: time.Millisecond}})
	must(t, err)
	l := img.Layers[0]
	if m.size = l.Size; l.Chunked == nil {
		t.Fatal("the layer is not in chunks")
	}
	f := Finder{Stage: m.Stage, Older: m.had, Log: m.Log, measuredFrom: m.measuredFrom}
	found, err := f.Ways(t.Context(), "desktop", []*image.Layer{nil, &l})
	must(t, err)
	src := stage.Tar{DiffID: l.DiffID, Blob: l.Digest, Open: l.Open}
	ways := map[string]*Way{l.DiffID: found[1]}
	if way := found[1]; way != nil {
		src.Partial, promised = &way.Partial, way.Fetch
	}
	o, err := m.AddLayer(t.Context(), src)
	must(t, err)
	must(t, stage.Intact(t.Context(), m.Stage, o))
	if err := Keep(t.Context(), m.Stage, img.Layers, ways, []deployment.Object{o}); err != nil {
		m.Log.Warn("not kept", "error", err)
	}
	m.had = append([]deployment.Object{o}, m.had...)
	return promised
}

// documents is what the configuration may take besides.
const documents = 2000

// Who has an older layer fetches what has changed, and it becomes what the whole does; who
// has nothing pulls the whole.
func TestParts(t *testing.T) {
	s := newShelf(t)
	first, second := layerTar(t), layerTar(t, 3, 9)
	m := newMachine(t)
	ref := s.push(t, first)
	if promised := m.pull(t, ref); promised != 0 {
		t.Errorf("%d bytes are fetched of what nothing is here of", promised)
	}
	// Its table of contents is kept as it went by.
	if sent := s.sent.Load(); sent > m.size+documents {
		t.Errorf("%d bytes were sent of a layer of %d", sent, m.size)
	}
	s.push(t, second)
	s.sent.Store(0)
	promised := m.pull(t, ref)
	if sent := s.sent.Load(); promised < 2*fileSize || promised > 2*fileSize+30_000 || sent < promised || sent > promised+documents {
		t.Errorf("%d bytes were sent, %d were promised; two files have %d", sent, promised, 2*fileSize)
	}
	other := newMachine(t)
	other.pull(t, ref)
	if m.had[0] != other.had[0] {
		t.Errorf("put together it is %+v, and pulled %+v", m.had[0], other.had[0])
	}
	if strings.Contains(m.log.String(), "WARN") {
		t.Error(m.log.String())
	}
}
