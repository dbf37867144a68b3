package readymade

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/objects"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

const (
	fileCount, fileSize = 16, 200_000
	// one is what an update fetches at most in which one file has changed, its end
	// that it shares with others, and the tables.
	one = fileSize + 350_000
)

// filesTar is a layer of files that do not compress; those named are other ones, with
// a byte more.
func filesTar(t *testing.T, changed ...int) []byte {
	t.Helper()
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	for n := range fileCount {
		content := make([]byte, fileSize)
		seed := uint64(n)
		if slices.Contains(changed, n) {
			content, seed = append(content, 0), seed+1000
		}
		r := rand.New(rand.NewPCG(seed, 0))
		for i := range content {
			content[i] = byte(r.Uint32())
		}
		must(t, w.WriteHeader(&tar.Header{Name: fmt.Sprintf("usr/%02d", n), Mode: 0o644, Size: int64(len(content))}))
		_, err := w.Write(content)
		must(t, err)
	}
	must(t, w.Close())
	return data.Bytes()
}

// pushFiles pushes an image of one layer.
func (s *shelf) pushFiles(t *testing.T, repository string, changed ...int) (ref string) {
	t.Helper()
	return s.pushTar(t, repository, filesTar(t, changed...))
}

// pushTar pushes an image of one layer that is given.
func (s *shelf) pushTar(t *testing.T, repository string, content []byte) (ref string) {
	t.Helper()
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
	must(t, err)
	img, err := mutate.AppendLayers(empty.Image, l)
	must(t, err)
	parsed, err := name.ParseReference(s.host()+"/"+repository, name.Insecure)
	must(t, err)
	must(t, remote.Write(parsed, img))
	return parsed.Name()
}

// publishFiles publishes what it becomes besides.
func (s *shelf) publishFiles(t *testing.T, repository string, signer *cosign.Signer, changed ...int) (ref string) {
	t.Helper()
	ref = s.pushFiles(t, repository, changed...)
	_, err := Publisher{Options: options(), Scratch: t.TempDir(), Key: signer}.PublishRef(t.Context(), ref)
	must(t, err)
	return ref
}

// A follower is a machine that follows an image.
type follower struct {
	*stage.Stage
	trust cosign.Policy
	opts  image.Options
	log   bytes.Buffer

	fetched *state.Fetched
	// unpatched is the Finder's.
	unpatched bool
}

func newFollower(t *testing.T, trust cosign.Policy) *follower {
	f := &follower{Stage: newStage(t), trust: trust, opts: options()}
	f.Log = slog.New(slog.NewTextHandler(&f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f.opts.Log = f.Log
	return f
}

// follow stages an image that is ready-made, from older objects, and returns what its
// layer became and what was to be fetched by blocks, 0 if it was to be fetched whole.
// What was fetched is in f.fetched.
func (f *follower) follow(t *testing.T, ref string, older ...deployment.Object) (became deployment.Object, promised int64) {
	t.Helper()
	opened, err := image.Open(t.Context(), ref, "", f.opts)
	must(t, err)
	_, err = image.FindMade(t.Context(), ref, opened, []cosign.Policy{f.trust}, f.opts)
	must(t, err)
	l := opened.Layers[0]
	if l.Made == nil {
		t.Fatal("nothing is ready-made")
	}
	ways, learned, err := Finder{Stage: f.Stage, Older: older, Unpatched: f.unpatched, Log: f.Log}.ByBlocks(t.Context(), []*image.Made{nil, l.Made})
	must(t, err)
	made := Take(l.Made)
	if made.Blocks = ways[1]; made.Blocks != nil {
		promised = made.Blocks.Fetch
	}
	var tally Tally
	o, err := f.AddLayer(t.Context(), tally.Count(stage.Tar{DiffID: l.DiffID, Blob: l.Digest, Made: made, Open: l.Open}, l.Size))
	must(t, err)
	f.fetched = tally.Fetched()
	must(t, learned.Keep(f.Stage))
	must(t, stage.Intact(t.Context(), f.Stage, o))
	return o, promised
}

// A meter counts what a registry sends of files.
type meter struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (m meter) Write(p []byte) (int, error) {
	n, err := m.ResponseWriter.Write(p)
	m.sent.Add(int64(n))
	return n, err
}

// metered has a shelf count what it sends of blobs.
func (s *shelf) metered(mid func(http.ResponseWriter, *http.Request, http.Handler)) *atomic.Int64 {
	var sent atomic.Int64
	s.before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			w = meter{w, &sent}
		}
		mid(w, r, next)
	})
	return &sent
}

func asItIs(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }

// documents is what description, signature and configuration may take besides.
const documents = 20_000

// Who has an older object fetches what has changed, and it is what the whole is; who has
// nothing, or the same of nothing, fetches the whole.
func TestByBlocks(t *testing.T) {
	s := newShelf(t)
	_, signer, trust := newKey(t)
	first, second := s.publishFiles(t, "desktop:1", signer), s.publishFiles(t, "desktop:2", signer, 7)
	f := newFollower(t, trust)
	old, promised := f.follow(t, first)
	if promised != 0 {
		t.Errorf("%d bytes by blocks, from nothing", promised)
	}
	whole, _ := newFollower(t, trust).follow(t, second)
	sent := s.metered(asItIs)
	missing := deployment.Object{SHA256: strings.Repeat("0", 64), Size: 1000}
	got, promised := f.follow(t, second, missing, old)
	if got != whole || promised == 0 || promised > one || sent.Load() < promised || sent.Load() > promised+documents {
		t.Errorf("became %v, want %v; %d of %d bytes promised, %d sent; %s", got, whole, promised, whole.Size, sent.Load(), &f.log)
	}
	if want := (state.Fetched{Bytes: promised, Whole: whole.Size, Blocks: 1}); f.fetched == nil || !reflect.DeepEqual(*f.fetched, want) {
		t.Errorf("fetched %+v, want %+v", f.fetched, want)
	}
	if f.follow(t, second, old); f.fetched != nil {
		t.Errorf("fetched again: %+v", f.fetched)
	}
	f = newFollower(t, trust)
	f.follow(t, first)
	sent.Store(0)
	if got, promised = f.follow(t, second); got != whole || promised != 0 || sent.Load() < whole.Size {
		t.Errorf("without older objects: became %v, %d promised, %d sent", got, promised, sent.Load())
	}
}

// Storage that a registry leads to is asked for the same parts.
func TestByBlocksElsewhere(t *testing.T) {
	s := newShelf(t)
	_, signer, trust := newKey(t)
	first, second := s.publishFiles(t, "desktop:1", signer), s.publishFiles(t, "desktop:2", signer, 7)
	var sent atomic.Int64
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.real.ServeHTTP(meter{w, &sent}, r) }))
	defer storage.Close()
	f := newFollower(t, trust)
	old, _ := f.follow(t, first)
	s.before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, storage.URL+r.URL.Path, http.StatusTemporaryRedirect)
			return
		}
		next.ServeHTTP(w, r)
	})
	if _, promised := f.follow(t, second, old); promised == 0 || sent.Load() > promised+documents {
		t.Errorf("%d promised, %d sent; %s", promised, sent.Load(), &f.log)
	}
}

// Whatever a registry does, the object is what it should be, and at worst fetched whole.
func TestByBlocksFaults(t *testing.T) {
	s := newShelf(t)
	_, signer, trust := newKey(t)
	first, second := s.publishFiles(t, "desktop:1", signer), s.publishFiles(t, "desktop:2", signer, 3, 11)
	want, _ := newFollower(t, trust).follow(t, second)
	var asked atomic.Int32
	part := func(r *http.Request) bool { return r.Header.Get("Range") != "" }
	for what, c := range map[string]struct {
		do    func(http.ResponseWriter, *http.Request, http.Handler)
		whole bool
		told  string
	}{
		"ranges are not known": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.Header.Del("Range")
			next.ServeHTTP(w, r)
		}, true, "gives the whole when it is asked for a part"},
		"ranges are refused": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if part(r) {
				http.Error(w, "", http.StatusRequestedRangeNotSatisfiable)
				return
			}
			next.ServeHTTP(w, r)
		}, true, "answered 416"},
		"another range": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if part(r) {
				r.Header.Set("Range", "bytes=0-99")
			}
			next.ServeHTTP(w, r)
		}, true, "range bytes 0-99"},
		"another range under its name": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if part(r) {
				w = &renamed{w, r.Header.Get("Range"), want.Size}
				r.Header.Set("Range", fmt.Sprintf("bytes=0-%d", want.Size-1))
			}
			next.ServeHTTP(w, r)
		}, true, "is not what its map says"},
		"cut, once": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			var from, to int
			if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err == nil && to-from > fileSize/2 && asked.Add(1) == 1 {
				w = &short{w, fileSize / 2}
			}
			next.ServeHTTP(w, r)
		}, false, "resuming a blob"},
		"cut, always": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if part(r) {
				w = &short{w, 20_000}
			}
			next.ServeHTTP(w, r)
		}, true, "was cut at byte"},
		"gone": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if part(r) {
				http.Error(w, "", http.StatusNotFound)
				return
			}
			next.ServeHTTP(w, r)
		}, true, "has no blob"},
		"its server fails, once": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if part(r) && asked.Add(1) == 1 {
				http.Error(w, "", http.StatusInternalServerError)
				return
			}
			next.ServeHTTP(w, r)
		}, false, "trying again"},
	} {
		t.Run(what, func(t *testing.T) {
			f := newFollower(t, trust)
			s.before(nil)
			old, _ := f.follow(t, first)
			asked.Store(0)
			sent := s.metered(c.do)
			got, promised := f.follow(t, second, old)
			if got != want || promised == 0 {
				t.Errorf("became %v, want %v; %d promised", got, want, promised)
			}
			counted := state.Fetched{Bytes: promised, Whole: want.Size, Blocks: 1}
			if c.whole {
				counted = state.Fetched{Bytes: promised + want.Size, Whole: want.Size, Objects: 1}
			}
			if f.fetched == nil || !reflect.DeepEqual(*f.fetched, counted) {
				t.Errorf("fetched %+v, want %+v", f.fetched, counted)
			}
			if whole := sent.Load() > want.Size; whole != c.whole || !strings.Contains(f.log.String(), c.told) {
				t.Errorf("%d bytes of %d were sent, whole: want %v; told %s", sent.Load(), want.Size, c.whole, &f.log)
			}
		})
	}
}

// A renamed answer says that it is the range that was asked for.
type renamed struct {
	http.ResponseWriter
	asked string
	size  int64
}

func (w *renamed) WriteHeader(status int) {
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %s/%d", strings.TrimPrefix(w.asked, "bytes="), w.size))
	w.ResponseWriter.WriteHeader(status)
}

// A mirror that lies costs asking the registry.
func TestByBlocksLyingMirror(t *testing.T) {
	s, mirror := newShelf(t), newShelf(t)
	_, signer, trust := newKey(t)
	first, second := s.publishFiles(t, "desktop:1", signer), s.publishFiles(t, "desktop:2", signer, 3, 11)
	f := newFollower(t, trust)
	old, _ := f.follow(t, first)
	f.opts.Mirrors = []string{mirror.URL}
	mirror.real = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			w = &twisted{w}
		}
		s.real.ServeHTTP(w, r)
	})
	sent := s.metered(asItIs)
	want, _ := newFollower(t, trust).follow(t, second)
	sent.Store(0)
	got, promised := f.follow(t, second, old)
	if got != want || promised == 0 || sent.Load() == 0 || sent.Load() > promised {
		t.Errorf("became %v, want %v; %d promised, %d sent by the registry; %s", got, want, promised, sent.Load(), &f.log)
	}
}

// A twisted answer has other bytes.
type twisted struct{ http.ResponseWriter }

func (w *twisted) Write(p []byte) (int, error) {
	p = bytes.Clone(p)
	for i := range p {
		p[i] ^= 1
	}
	return w.ResponseWriter.Write(p)
}

// A map that is signed and wrong costs fetching the whole; what it makes is never
// published.
func TestWrongMap(t *testing.T) {
	s := newShelf(t)
	_, signer, trust := newKey(t)
	first := s.publishFiles(t, "desktop:1", signer)
	f := newFollower(t, trust)
	old, _ := f.follow(t, first)
	mapOf := func(o deployment.Object) []byte {
		m, _, err := blockMap(t.Context(), f.Stage, o)
		must(t, err)
		return m.Encode()
	}
	for what, spoil := range map[string]func(right []byte) []byte{
		"of the older object": func([]byte) []byte { return mapOf(old) },
		"nothing":             func([]byte) []byte { return []byte("nothing") },
		"blocks in another order": func(right []byte) []byte {
			b := bytes.Clone(right)
			n := len(b)
			copy(b[n-32:], right[n-16:])
			copy(b[n-16:], right[n-32:n-16])
			return b
		},
	} {
		t.Run(what, func(t *testing.T) {
			repository := strings.ReplaceAll(what, " ", "-")
			ref := s.pushFiles(t, repository, 12)
			opened, err := image.Open(t.Context(), ref, "", options())
			must(t, err)
			l := opened.Layers[0]
			st := newStage(t)
			want, err := st.AddLayer(t.Context(), stage.Tar{DiffID: l.DiffID, Blob: l.Digest, Open: l.Open})
			must(t, err)
			b := &bench{Publisher: Publisher{Options: options(), Stage: st}, layers: []stage.Tar{{DiffID: l.DiffID, Blob: l.Digest}}}
			must(t, b.squash(t.Context()))
			u, d, err := b.upload(t.Context(), Image{Ref: ref, Digest: opened.Digest})
			must(t, err)
			u.Files[1] = blocksFile(spoil(read(t, u.Files[1])))
			d.Layers[0].Blocks = &objects.File{SHA256: u.Files[1].SHA256, Size: u.Files[1].Size}
			u.Config, err = d.Encode()
			must(t, err)
			attached, err := image.Attach(t.Context(), u, options())
			must(t, err)
			must(t, image.Sign(t.Context(), u.Ref, attached.Digest, *signer, options()))
			if got, _ := f.follow(t, ref, old); got != want {
				t.Errorf("became %v, want %v", got, want)
			}
			if !strings.Contains(f.log.String(), "is fetched whole") {
				t.Errorf("told %s", &f.log)
			}
		})
	}
}

func read(t *testing.T, f image.ArtifactFile) []byte {
	t.Helper()
	r, err := f.Open()
	must(t, err)
	data, err := io.ReadAll(r)
	must(t, errors.Join(err, r.Close()))
	return data
}
