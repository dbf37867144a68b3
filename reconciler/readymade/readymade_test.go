package readymade

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/objects"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/reconciler/inventory"
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

// A shelf is a registry, what stands before it, and what it was asked.
type shelf struct {
	*httptest.Server
	mu   sync.Mutex
	real http.Handler
	mid  func(http.ResponseWriter, *http.Request, http.Handler)
	seen []string
}

func newShelf(t *testing.T, opts ...registry.Option) *shelf {
	t.Helper()
	s := &shelf{real: registry.New(append(opts, registry.Logger(log.New(io.Discard, "", 0)))...)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	mid := s.mid
	s.seen = append(s.seen, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	if mid == nil {
		mid = func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }
	}
	mid(w, r, s.real)
}

// before sets what stands before the registry, and forgets what was asked.
func (s *shelf) before(mid func(http.ResponseWriter, *http.Request, http.Handler)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mid, s.seen = mid, nil
}

func (s *shelf) asked(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.seen, "GET "+path)
}

func (s *shelf) host() string { return strings.TrimPrefix(s.URL, "http://") }

// layer is a tar with a file that does not compress; where folders are lacking, it has
// none for its file.
func layerTar(t *testing.T, path string, lacking bool) []byte {
	t.Helper()
	content := make([]byte, 300_000)
	_, err := rand.Read(content)
	must(t, err)
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	if !lacking {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: filepath.Dir(path) + "/", Mode: 0o750, Uid: 7}))
	}
	must(t, w.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(content))}))
	_, err = w.Write(content)
	must(t, errors.Join(err, w.Close()))
	return data.Bytes()
}

// push pushes an image of two layers, of which the upper one lacks a folder that the
// lower one has.
func (s *shelf) push(t *testing.T, repository string) string {
	t.Helper()
	img := empty.Image
	for _, content := range [][]byte{layerTar(t, "srv/low", false), layerTar(t, "srv/high", true)} {
		l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
		must(t, err)
		img, err = mutate.AppendLayers(img, l)
		must(t, err)
	}
	ref, err := name.ParseReference(s.host()+"/"+repository+":1", name.Insecure)
	must(t, err)
	must(t, remote.Write(ref, img))
	return ref.Name()
}

// newKey writes a key as openssl does.
func newKey(t *testing.T) (file string, signer *cosign.Signer, trust cosign.Policy) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	file = filepath.Join(t.TempDir(), "objects.key")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	signer, err = ReadKey(file)
	must(t, err)
	trust, err = signer.Policy(file)
	must(t, err)
	return file, signer, trust
}

func options() image.Options {
	return image.Options{Insecure: true, Timing: image.Timing{Attempts: 2, Backoff: 1, MaxWait: 1}}
}

func newStage(t *testing.T) *stage.Stage {
	t.Helper()
	need.Programs(t, "tar2sqfs")
	st, err := stage.Create(filepath.Join(t.TempDir(), "stage"))
	must(t, err)
	return st
}

// stageIt puts an image on a new stage as a machine does, and returns what it became
// and what was logged.
func stageIt(t *testing.T, ref string, trust ...cosign.Policy) (became []deployment.Object, told string) {
	t.Helper()
	st := newStage(t)
	var logged bytes.Buffer
	st.Log = slog.New(slog.NewTextHandler(&logged, nil))
	opened, err := image.Open(t.Context(), ref, "", options())
	must(t, err)
	doubts, unknown := image.FindMade(t.Context(), ref, opened, trust, options())
	var layers []stage.Tar
	var tally Tally
	for _, l := range opened.Layers {
		layers = append(layers, tally.Count(stage.Tar{DiffID: l.DiffID, Blob: l.Digest, Open: l.Open, Made: Take(l.Made)}, l.Size))
	}
	became, err = st.AddLayers(t.Context(), layers, 2)
	must(t, err)
	if f := tally.Fetched(); f.Whole == 0 || f.Bytes < f.Whole || f.Layers+f.Objects != len(layers) || len(trust) == 0 && f.Objects > 0 {
		t.Errorf("fetched %+v of %d layers", f, len(layers))
	}
	for _, o := range became {
		must(t, stage.Intact(t.Context(), st, o))
	}
	return became, logged.String() + fmt.Sprint(doubts, unknown)
}

// What is published is taken by who believes it, from registries that list what refers
// to an image and from those that do not; and it is what the layers would have become.
func TestPublishedAndTaken(t *testing.T) {
	for what, opts := range map[string][]registry.Option{"listed": {registry.WithReferrersSupport(true)}, "by tag": nil} {
		t.Run(what, func(t *testing.T) {
			s := newShelf(t, opts...)
			ref := s.push(t, "desktop")
			_, signer, trust := newKey(t)
			_, _, stranger := newKey(t)
			want, _ := stageIt(t, ref)
			p := Publisher{Options: options(), Scratch: t.TempDir(), Key: signer}
			out, err := p.PublishRef(t.Context(), ref)
			must(t, err)
			if out.Layers != 2 || out.Made != 2 || !out.Signed || out.There || out.Sent != out.Bytes {
				t.Errorf("published %+v", out)
			}
			if left, err := os.ReadDir(p.Scratch); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
			s.before(nil)
			again, err := p.PublishRef(t.Context(), ref)
			must(t, err)
			if !again.There || again.Digest != out.Digest || again.Bytes != out.Bytes || again.Sent != 0 {
				t.Errorf("published again %+v", again)
			}
			opened, err := image.Open(t.Context(), ref, "", options())
			must(t, err)
			for trusted, policies := range map[string][]cosign.Policy{"believed": {stranger, trust}, "a stranger": {stranger}, "nobody": nil} {
				s.before(nil)
				got, _ := stageIt(t, ref, policies...)
				if !slices.Equal(got, want) {
					t.Errorf("%s: became %v, want %v", trusted, got, want)
				}
				for _, l := range opened.Layers {
					if fetched := s.asked("/v2/desktop/blobs/" + l.Digest); fetched != (trusted != "believed") {
						t.Errorf("%s: layer fetched: %v", trusted, fetched)
					}
				}
			}
		})
	}
}

// A registry that lies, or has lost what it lists, costs making the layers here.
func TestFaults(t *testing.T) {
	s := newShelf(t)
	ref := s.push(t, "desktop")
	_, signer, trust := newKey(t)
	out, err := Publisher{Options: options(), Scratch: t.TempDir(), Key: signer}.PublishRef(t.Context(), ref)
	must(t, err)
	want, _ := stageIt(t, ref)
	object := "/blobs/sha256:" + want[0].SHA256
	other := want[1]
	for what, c := range map[string]struct {
		path string
		do   func(http.ResponseWriter, *http.Request, http.Handler)
		told string
	}{
		"another object in its place": {object, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.URL.Path = strings.Replace(r.URL.Path, want[0].SHA256, other.SHA256, 1)
			next.ServeHTTP(w, r)
		}, "is not what was promised"},
		"it is gone": {object, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			http.Error(w, "", http.StatusNotFound)
		}, "has no blob"},
		"it is cut, always": {object, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(&short{w, 100_000}, r)
		}, "was cut at byte"},
		"its server fails": {object, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			http.Error(w, "", http.StatusInternalServerError)
		}, "answered 500"},
		"its manifest is another's": {"/manifests/" + out.Digest, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.URL.Path = "/v2/desktop/manifests/1"
			next.ServeHTTP(w, r)
		}, "is not what was promised"},
		"its manifest is gone": {"/manifests/" + out.Digest, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			http.Error(w, "", http.StatusNotFound)
		}, ""},
	} {
		t.Run(what, func(t *testing.T) {
			s.before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, c.path) {
					c.do(w, r, next)
					return
				}
				next.ServeHTTP(w, r)
			})
			got, told := stageIt(t, ref, trust)
			if !slices.Equal(got, want) || !strings.Contains(told, c.told) {
				t.Errorf("became %v, want %v; told %s", got, want, told)
			}
		})
	}
}

// A short answer ends before its time.
type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(p []byte) (int, error) {
	if len(p) > s.left {
		p = p[:s.left]
	}
	n, err := s.ResponseWriter.Write(p)
	if s.left -= n; s.left == 0 {
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// superblock is where a squashfs' data begin.
const superblock = 96

// What is signed and makes no sense is not used: another image's description, a file
// that is no squashfs of ours, a layer that took something else from those below.
func TestSignedNonsense(t *testing.T) {
	s := newShelf(t)
	_, signer, trust := newKey(t)
	for what, spoil := range map[string]func(*objects.Description, []byte){
		"another image's":   func(d *objects.Description, _ []byte) { d.Image = "sha256:" + strings.Repeat("0", 64) },
		"no squashfs":       func(_ *objects.Description, file []byte) { copy(file, "nothing") },
		"packed by gzip":    func(_ *objects.Description, file []byte) { file[20] = 1 },
		"cut":               func(_ *objects.Description, file []byte) { file[46] = 1 },
		"from other folder": func(d *objects.Description, _ []byte) { d.Layers[1].Taken = strings.Repeat("1", 64) },
		"otherwise rewritten": func(d *objects.Description, file []byte) {
			d.Rewriter++
			file[superblock] ^= 1
		},
		"negative": func(d *objects.Description, _ []byte) { d.Layers[0].Size = -1 },
	} {
		t.Run(what, func(t *testing.T) {
			repository := strings.ReplaceAll(strings.ReplaceAll(what, " ", "-"), "'", "")
			ref := s.push(t, repository)
			want, _ := stageIt(t, ref)
			opened, err := image.Open(t.Context(), ref, "", options())
			must(t, err)
			b := &bench{Publisher: Publisher{Options: options(), Scratch: t.TempDir()}}
			for _, l := range opened.Layers {
				b.layers = append(b.layers, stage.Tar{DiffID: l.DiffID, Blob: l.Digest, Open: l.Open})
			}
			must(t, b.squash(t.Context()))
			defer b.clear()
			u, d, err := b.upload(t.Context(), Image{Ref: ref, Digest: opened.Digest})
			must(t, err)
			publishSpoiled(t, u, d, spoil, signer)
			if got, _ := stageIt(t, ref, trust); !slices.Equal(got, want) {
				t.Errorf("became %v, want %v", got, want)
			}
		})
	}
}

// publishSpoiled publishes something else, in good order and signed.
func publishSpoiled(t *testing.T, u image.ArtifactUpload, d objects.Description, spoil func(*objects.Description, []byte), signer *cosign.Signer) {
	t.Helper()
	r, err := u.Files[0].Open()
	must(t, err)
	content, err := io.ReadAll(r)
	must(t, errors.Join(err, r.Close()))
	spoil(&d, content)
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	u.Files[0].SHA256, u.Files[0].Open = sum, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	d.Layers[0].SHA256 = sum
	u.Config, err = d.Encode()
	must(t, err)
	attached, err := image.Attach(context.Background(), u, options())
	must(t, err)
	must(t, image.Sign(context.Background(), u.Ref, attached.Digest, *signer, options()))
}

// An image with a kernel is published with an initramfs, which is what this computer would
// make of it; again only where gitboot-init is another.
func TestPublishedKernel(t *testing.T) {
	s := newShelf(t)
	root, init := t.TempDir(), filepath.Join(t.TempDir(), "gitboot-init")
	must(t, lab.FakeKernel(root, "6.1.0-test", true))
	must(t, os.WriteFile(init, []byte("init"), 0o755))
	file := filepath.Join(t.TempDir(), "root.tar")
	_, err := lab.Run(t.Context(), "tar", "-C", root, "-cf", file, ".")
	must(t, err)
	layer, err := tarball.LayerFromFile(file)
	must(t, err)
	img, err := mutate.AppendLayers(empty.Image, layer)
	must(t, err)
	tag, err := name.ParseReference(s.host()+"/os:1", name.Insecure)
	must(t, err)
	must(t, remote.Write(tag, img))
	ref := tag.Name()
	_, signer, trust := newKey(t)
	p := Publisher{Options: options(), Scratch: t.TempDir(), Init: init, Key: signer, Log: slog.New(slog.DiscardHandler)}
	out, err := p.PublishRef(t.Context(), ref)
	must(t, err)
	if out.Kernel != "6.1.0-test" || out.Layers != 1 {
		t.Errorf("published %+v", out)
	}
	opened, err := image.Open(t.Context(), ref, "", options())
	must(t, err)
	doubts, err := image.FindMade(t.Context(), ref, opened, []cosign.Policy{trust}, options())
	must(t, errors.Join(append(doubts, err)...))
	if len(opened.Kernels) != 1 {
		t.Fatalf("found %+v", opened.Kernels)
	}
	became, _ := stageIt(t, ref)
	st := newStage(t)
	layers, err := st.AddLayers(t.Context(), []stage.Tar{{DiffID: opened.Layers[0].DiffID, Open: opened.Layers[0].Open}}, 1)
	must(t, err)
	tree, err := inventory.OpenTree(st, layers)
	must(t, err)
	defer tree.Close()
	k, err := initramfs.FindKernel(tree, "")
	must(t, err)
	var made bytes.Buffer
	_, err = initramfs.Build(t.Context(), tree, k, initramfs.Options{Init: init}, &made)
	must(t, err)
	key, err := initramfs.Key(tree, k, initramfs.Options{Init: init})
	must(t, err)
	got := opened.Kernels[0]
	if sum := fmt.Sprintf("%x", sha256.Sum256(made.Bytes())); got.Initramfs.SHA256 != sum || got.Key != key || !slices.Equal(layers, became) {
		t.Errorf("published %+v; made here %s of %s", got, sum, key)
	}
	again, err := p.PublishRef(t.Context(), ref)
	must(t, err)
	if !again.There || again.Kernel != out.Kernel || again.Bytes != out.Bytes {
		t.Errorf("published again %+v", again)
	}
	must(t, os.WriteFile(init, []byte("a newer init"), 0o755))
	newer, err := p.PublishRef(t.Context(), ref)
	must(t, err)
	if newer.There || newer.Sent == 0 || newer.Sent >= newer.Bytes {
		t.Errorf("published with another gitboot-init %+v", newer)
	}
}
