package readymade

import (
	"bytes"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/rootfs/blockmap"
	"github.com/gitboot/gitboot/stage/contents"
)

// Block maps stay with the objects, so that these are not read again for the next image;
// they are believed no more than what is fetched.
func TestKeptMaps(t *testing.T) {
	s := newShelf(t)
	_, signer, trust := newKey(t)
	first, second, third := s.publishFiles(t, "desktop:1", signer), s.publishFiles(t, "desktop:2", signer, 7), s.publishFiles(t, "desktop:3", signer, 3)
	want, _ := newFollower(t, trust).follow(t, third)
	for what, c := range map[string]struct {
		damage func(f *follower, newest deployment.Object) error
		// more is how many bytes are fetched besides what is promised.
		more int64
	}{
		"intact": {func(*follower, deployment.Object) error { return nil }, 0},
		"the map is none": {func(f *follower, o deployment.Object) error {
			return contents.Put(f.Stage, o, contents.Blocks, []byte("none"))
		}, 0},
		"the map has blocks in another order": {func(f *follower, o deployment.Object) error {
			m, _, err := blockMap(t.Context(), f.Stage, o)
			if err != nil {
				return err
			}
			large := func(b blockmap.Block) bool { return b.Length > 100_000 }
			for i := range m[1:] {
				if large(m[i]) && large(m[i+1]) {
					m[i], m[i+1] = m[i+1], m[i]
					break
				}
			}
			return contents.Put(f.Stage, o, contents.Blocks, m.Encode())
		}, 2 * fileSize},
		"a block of the object is damaged": {func(f *follower, o deployment.Object) error {
			data, err := os.ReadFile(f.ObjectPath(o))
			if err != nil {
				return err
			}
			data[1000] ^= 1
			if err := os.Remove(f.ObjectPath(o)); err != nil {
				return err
			}
			return os.WriteFile(f.ObjectPath(o), data, 0o600)
		}, fileSize},
	} {
		t.Run(what, func(t *testing.T) {
			f := newFollower(t, trust)
			s.before(nil)
			oldest, _ := f.follow(t, first)
			newest, _ := f.follow(t, second, oldest)
			for _, o := range []deployment.Object{oldest, newest} {
				if !contents.Known(f.Stage, o, contents.Blocks) {
					t.Fatalf("the map of %v is not kept", o)
				}
			}
			must(t, c.damage(f, newest))
			sent := s.metered(asItIs)
			got, promised := f.follow(t, third, newest)
			if got != want || promised == 0 || sent.Load() > promised+c.more+documents || c.more > 0 && sent.Load() < promised+1000 {
				t.Errorf("became %v, want %v; %d promised, %d sent; %s", got, want, promised, sent.Load(), &f.log)
			}
			if strings.Contains(f.log.String(), "is fetched whole") {
				t.Error(f.log.String())
			}
		})
	}
	// Where too much is damaged, the whole is fetched.
	f := newFollower(t, trust)
	s.before(nil)
	oldest, _ := f.follow(t, first)
	newest, _ := f.follow(t, second, oldest)
	data, err := os.ReadFile(f.ObjectPath(newest))
	must(t, err)
	must(t, os.Remove(f.ObjectPath(newest)))
	must(t, os.WriteFile(f.ObjectPath(newest), bytes.Repeat([]byte{1}, len(data)), 0o600))
	if got, _ := f.follow(t, third, newest); got != want {
		t.Errorf("became %v, want %v", got, want)
	}
}

// A block map that was fetched is among what belongs to the image, and is not fetched again.
func TestMapFetchedOnce(t *testing.T) {
	s := newShelf(t)
	_, signer, trust := newKey(t)
	ref := s.publishFiles(t, "desktop:1", signer)
	opened, err := image.Open(t.Context(), ref, "", options())
	must(t, err)
	_, err = image.FindMade(t.Context(), ref, opened, []cosign.Policy{trust}, options())
	must(t, err)
	made := opened.Layers[0].Made
	var asked atomic.Int32
	s.before(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/blobs/sha256:"+made.Blocks.SHA256) {
			asked.Add(1)
		}
		next.ServeHTTP(w, r)
	})
	data, err := made.BlockMap(t.Context())
	must(t, err)
	list, err := image.Belonging(t.Context(), ref, opened.Digest, opened, options())
	must(t, err)
	if !slices.ContainsFunc(list, func(o image.Original) bool { return bytes.Equal(o.Data, data) }) || asked.Load() != 1 {
		t.Errorf("%d documents, asked %d times for the map", len(list), asked.Load())
	}
}
