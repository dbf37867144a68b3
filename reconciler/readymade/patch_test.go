package readymade

import (
	"archive/tar"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/objects"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/rootfs/blockmap"
	"github.com/gitboot/gitboot/stage"
)

// movedTar is filesTar's layer, in which all files but the first four have a byte more,
// before all others: no block of theirs is the same.
func movedTar(t *testing.T) []byte {
	t.Helper()
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	for n := range fileCount {
		content := make([]byte, fileSize)
		r := rand.New(rand.NewPCG(uint64(n), 0))
		for i := range content {
			content[i] = byte(r.Uint32())
		}
		if n >= 4 {
			content = append([]byte{'x'}, content...)
		}
		must(t, w.WriteHeader(&tar.Header{Name: fmt.Sprintf("usr/%02d", n), Mode: 0o644, Size: int64(len(content))}))
		_, err := w.Write(content)
		must(t, err)
	}
	must(t, w.Close())
	return data.Bytes()
}

// publishMoved publishes the image of movedTar, with a patch from another one.
func (s *shelf) publishMoved(t *testing.T, repository string, signer *cosign.Signer, from string) (ref string, p Publisher, out Published) {
	t.Helper()
	ref = s.pushTar(t, repository, movedTar(t))
	p = Publisher{Options: options(), Scratch: t.TempDir(), Key: signer, Earlier: []string{from}}
	out, err := p.PublishRef(t.Context(), ref)
	must(t, err)
	return ref, p, out
}

// patchBlob finds the patch that is published beside an image.
func patchBlob(t *testing.T, ref string, trust cosign.Policy) objects.LayerPatch {
	t.Helper()
	opened, err := image.Open(t.Context(), ref, "", options())
	must(t, err)
	_, err = image.FindMade(t.Context(), ref, opened, []cosign.Policy{trust}, options())
	must(t, err)
	if m := opened.Layers[0].Made; m == nil || len(m.Patches) != 1 {
		t.Fatalf("published %+v", m)
	}
	return opened.Layers[0].Made.Patches[0].LayerPatch
}

// Who has the image that a patch was made from fetches the patch, and what it makes is what
// the whole is; who has not, does not.
func TestByPatch(t *testing.T) {
	s := newShelf(t)
	_, signer, trust := newKey(t)
	first := s.publishFiles(t, "desktop:1", signer)
	second, p, out := s.publishMoved(t, "desktop:2", signer, first)
	if out.Patches != 1 {
		t.Errorf("published %+v", out)
	}
	again, err := p.PublishRef(t.Context(), second)
	must(t, err)
	if want := (Published{Attached: out.Attached, Layers: 1, Patches: 1, Bytes: out.Bytes, Signed: true}); !again.There || again.Patches != want.Patches || again.Bytes != want.Bytes {
		t.Errorf("published again as %+v, want %+v", again, want)
	}
	whole, promised := newFollower(t, trust).follow(t, second)
	if promised != 0 {
		t.Errorf("%d bytes by patch, from nothing", promised)
	}
	f := newFollower(t, trust)
	old, _ := f.follow(t, first)
	sent := s.metered(asItIs)
	got, promised := f.follow(t, second, old)
	if got != whole || promised == 0 || promised > 100_000 || sent.Load() < promised || sent.Load() > promised+documents {
		t.Errorf("became %v, want %v; %d of %d bytes promised, %d sent; %s", got, whole, promised, whole.Size, sent.Load(), &f.log)
	}
	if want := (state.Fetched{Bytes: promised, Whole: whole.Size, Patches: 1}); f.fetched == nil || !reflect.DeepEqual(*f.fetched, want) {
		t.Errorf("fetched %+v, want %+v", f.fetched, want)
	}
	if strings.Contains(f.log.String(), "WARN") {
		t.Errorf("warned: %s", &f.log)
	}
	// Who knows that patches are of no use fetches the blocks.
	f = newFollower(t, trust)
	old, _ = f.follow(t, first)
	f.unpatched = true
	if got, promised = f.follow(t, second, old); got != whole || promised < 2_000_000 || f.fetched.Patches != 0 {
		t.Errorf("without patches: became %v, want %v; %d promised, fetched %+v", got, whole, promised, f.fetched)
	}
	// Another object that it has is not what the patch was made from.
	f = newFollower(t, trust)
	other, _ := f.follow(t, s.publishFiles(t, "other:1", signer, 1))
	if got, promised = f.follow(t, second, other); got != whole || promised < 2_000_000 {
		t.Errorf("from another object: became %v, want %v; %d promised", got, whole, promised)
	}
}

// A patch that cannot be had, or is wrong, costs fetching the blocks, and nothing that it
// makes is published.
func TestWrongPatch(t *testing.T) {
	s := newShelf(t)
	_, signer, trust := newKey(t)
	first := s.publishFiles(t, "desktop:1", signer)
	second, _, _ := s.publishMoved(t, "desktop:2", signer, first)
	want, _ := newFollower(t, trust).follow(t, second)
	at := "/blobs/sha256:" + patchBlob(t, second, trust).SHA256
	for what, c := range map[string]struct {
		do   func(w http.ResponseWriter, r *http.Request, next http.Handler)
		told string
	}{
		"gone": {func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { http.Error(w, "", http.StatusNotFound) }, "has no blob"},
		"other bytes": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(&twisted{w}, r)
		}, "is no patch"},
		"cut": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(&short{w, 100}, r)
		}, "of no use here"},
	} {
		t.Run(what, func(t *testing.T) {
			f := newFollower(t, trust)
			s.before(nil)
			old, _ := f.follow(t, first)
			s.before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if strings.HasSuffix(r.URL.Path, at) {
					c.do(w, r, next)
					return
				}
				next.ServeHTTP(w, r)
			})
			got, promised := f.follow(t, second, old)
			if got != want || promised == 0 || f.fetched.Objects != 0 {
				t.Errorf("became %v, want %v; %d promised; fetched %+v", got, want, promised, f.fetched)
			}
			if !strings.Contains(f.log.String(), c.told) {
				t.Errorf("told %s", &f.log)
			}
		})
	}
	// One that is signed, and was made from something else.
	f := newFollower(t, trust)
	s.before(nil)
	old, _ := f.follow(t, first)
	third := s.pushFiles(t, "desktop:3", 1, 2, 3, 5, 8, 13)
	opened, err := image.Open(t.Context(), third, "", options())
	must(t, err)
	p := Publisher{Options: options(), Scratch: t.TempDir(), Key: signer}
	out, err := p.PublishRef(t.Context(), third)
	must(t, err)
	_, err = image.FindMade(t.Context(), third, opened, []cosign.Policy{trust}, options())
	must(t, err)
	made := opened.Layers[0].Made
	lie := patchBlob(t, second, trust)
	secondMade, err := image.Open(t.Context(), second, "", options())
	must(t, err)
	_, err = image.FindMade(t.Context(), second, secondMade, []cosign.Policy{trust}, options())
	must(t, err)
	lie.Rest = 0
	made.Patches = []image.MadePatch{{LayerPatch: lie, Open: secondMade.Layers[0].Made.Patches[0].Open}}
	ways, _, err := Finder{Stage: f.Stage, Older: []deployment.Object{old}, Log: f.Log}.ByBlocks(t.Context(), []*image.Made{made})
	must(t, err)
	if ways[0] == nil || ways[0].Patch == nil || out.Patches != 0 {
		t.Fatalf("the way is %+v", ways[0])
	}
	take := Take(made)
	take.Blocks = ways[0]
	var tally Tally
	l := opened.Layers[0]
	got, err := f.AddLayer(t.Context(), tally.Count(stage.Tar{DiffID: l.DiffID, Blob: l.Digest, Made: take, Open: l.Open}, l.Size))
	must(t, err)
	if got.SHA256 != made.SHA256 || tally.Fetched().Objects != 0 || !tally.Fetched().Unfit {
		t.Errorf("became %v, want %s; fetched %+v", got, made.SHA256, tally.Fetched())
	}
}

// A patch makes no more than there is of the object.
func TestPatchBounds(t *testing.T) {
	s := newShelf(t)
	_, signer, trust := newKey(t)
	first := s.publishFiles(t, "desktop:1", signer)
	second, _, _ := s.publishMoved(t, "desktop:2", signer, first)
	f := newFollower(t, trust)
	old, _ := f.follow(t, first)
	opened, err := image.Open(t.Context(), second, "", options())
	must(t, err)
	_, err = image.FindMade(t.Context(), second, opened, []cosign.Policy{trust}, options())
	must(t, err)
	made := opened.Layers[0].Made
	data, err := made.BlockMap(t.Context())
	must(t, err)
	m, err := blockmap.Parse(data, made.Size)
	must(t, err)
	for what, c := range map[string]struct {
		object blockmap.Map
		fits   bool
	}{
		"as it is":       {m, true},
		"fewer blocks":   {m[:3], false},
		"smaller blocks": {slices.Repeat(blockmap.Map{{Length: 1}}, len(m)), false},
	} {
		body, err := made.Patches[0].Open(t.Context())
		must(t, err)
		file, err := patched(t.Context(), f.Stage, []string{f.ObjectPath(old)}, body, c.object)
		must(t, body.Close())
		if err == nil {
			file.Discard()
		}
		if (err == nil) != c.fits || err != nil && !strings.Contains(err.Error(), "it makes more than the object has") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if left, err := os.ReadDir(f.Temp()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
