package documents

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kept is an image of a registry with what belongs to it, and its layer.
func kept(t *testing.T, repository, tag string, seen time.Time) (img Image, list []Document, layer []byte) {
	t.Helper()
	made, err := random.Image(1000, 1)
	must(t, err)
	about := mutate.Subject(mutate.ConfigMediaType(empty.Image, "application/vnd.example"), descriptor(t, made)).(v1.Image)
	for i, one := range []v1.Image{made, about} {
		manifest, err := one.RawManifest()
		must(t, err)
		config, err := one.RawConfigFile()
		must(t, err)
		list = append(list, Document{Manifest: true, Data: manifest}, Document{Data: config})
		if i == 0 {
			img = Image{Repository: repository, Digest: "sha256:" + hash(manifest), Named: "sha256:" + hash(manifest), Tag: tag, Seen: seen}
		}
	}
	list[2].Tag = "sha256-" + strings.TrimPrefix(img.Digest, "sha256:") + ".sig"
	layers, err := made.Layers()
	must(t, err)
	r, err := layers[0].Compressed()
	must(t, err)
	var data bytes.Buffer
	_, err = data.ReadFrom(r)
	must(t, errors.Join(err, r.Close()))
	return img, list, data.Bytes()
}

func descriptor(t *testing.T, img v1.Image) v1.Descriptor {
	t.Helper()
	digest, err := img.Digest()
	must(t, err)
	size, err := img.Size()
	must(t, err)
	return v1.Descriptor{MediaType: types.DockerManifestSchema2, Digest: digest, Size: size}
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// A client of registries finds all of it here: by tag and by digest, and what refers to it.
func TestRegistry(t *testing.T) {
	s := Store(t.TempDir() + "/documents")
	older, otherList, _ := kept(t, "registry.lan/fleet/os", "stable", noon.Add(-time.Hour))
	must(t, s.Put(older, otherList))
	img, list, layer := kept(t, "registry.lan/fleet/os", "stable", noon)
	must(t, s.Put(img, list))
	object := t.TempDir() + "/layer"
	must(t, os.WriteFile(object, layer, 0o600))
	server := httptest.NewServer(Shelf{s, func(sha256 string) (*os.File, error) {
		if sha256 != hash(layer) {
			return nil, fs.ErrNotExist
		}
		return os.Open(object)
	}}.Handler())
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for _, ref := range []string{"fleet/os:stable", "fleet/os@" + img.Digest} {
		parsed, err := name.ParseReference(host+"/"+ref, name.Insecure)
		must(t, err)
		got, err := remote.Image(parsed)
		must(t, err)
		if digest, err := got.Digest(); err != nil || digest.String() != img.Digest {
			t.Errorf("%s is %s, want %s: %v", ref, digest, img.Digest, err)
		}
		layers, err := got.Layers()
		must(t, err)
		r, err := layers[0].Uncompressed()
		must(t, err)
		_, err = new(bytes.Buffer).ReadFrom(r)
		must(t, errors.Join(err, r.Close()))
	}
	subject, err := name.NewDigest(host+"/fleet/os@"+img.Digest, name.Insecure)
	must(t, err)
	index, err := remote.Referrers(subject)
	must(t, err)
	manifest, err := index.IndexManifest()
	must(t, err)
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest.Hex != hash(list[2].Data) || manifest.Manifests[0].ArtifactType != "application/vnd.example" {
		t.Errorf("what refers to it: %+v", manifest.Manifests)
	}
	repo, err := name.NewRepository(host+"/fleet/os", name.Insecure)
	must(t, err)
	if tags, err := remote.List(repo); err != nil || len(tags) != 1 || tags[0] != "stable" {
		t.Errorf("tags %v: %v", tags, err)
	}
	if _, err := remote.Image(repo.Tag(list[2].Tag)); err != nil {
		t.Errorf("by the tag of a signature: %v", err)
	}
	for _, ref := range []string{"fleet/os:other", "fleet:stable", "os:stable"} {
		parsed, err := name.ParseReference(host+"/"+ref, name.Insecure)
		must(t, err)
		if _, err := remote.Image(parsed); err == nil {
			t.Errorf("%s is here", ref)
		}
	}
}

// What an image is kept of at once is not all that its registry may tell; that it was asked
// stays known when a tag moves.
func TestWhole(t *testing.T) {
	s := Store(t.TempDir() + "/documents")
	img, list, _ := kept(t, "registry.example/desktop", "stable", noon)
	for _, whole := range []bool{false, true} {
		img.Whole = whole
		must(t, s.Put(img, list))
		if got, err := s.Whole(img.Repository, img.Named); err != nil || got != whole {
			t.Errorf("%v %v, want %v", got, err, whole)
		}
	}
	_, err := s.Saw(img.Repository, img.Named, "newer", noon)
	must(t, err)
	if got, err := s.Whole(img.Repository, img.Named); err != nil || !got {
		t.Errorf("%v %v", got, err)
	}
	if got, err := s.Whole("registry.example/other", img.Named); err != nil || got {
		t.Errorf("another's: %v %v", got, err)
	}
}

// A tag means what it meant last, though it moved and moved back within a second.
func TestTagMoves(t *testing.T) {
	s := Store(t.TempDir() + "/documents")
	var named []string
	for range 4 {
		img, list, _ := kept(t, "registry.example/desktop", "stable", noon)
		must(t, s.Put(img, list))
		named = append(named, img.Named)
		if got := tagged(t, s); got != img.Named {
			t.Errorf("stable is %s, want the new %s", got, img.Named)
		}
	}
	for _, want := range named {
		there, err := s.Saw("registry.example/desktop", want, "stable", noon)
		if err != nil || !there {
			t.Errorf("%v %v", there, err)
		}
		if got := tagged(t, s); got != want {
			t.Errorf("stable is %s, want %s again", got, want)
		}
	}
}

// tagged is what the only image with a tag was named.
func tagged(t *testing.T, s Store) (named string) {
	t.Helper()
	list, err := s.Images()
	must(t, err)
	for _, img := range list {
		if img.Tag != "" {
			named += img.Named
		}
	}
	return named
}

// Two registries may have a repository of the same path: only who says which is meant is
// told what a tag means.
func TestTwoRegistries(t *testing.T) {
	s := Store(t.TempDir())
	one, list, _ := kept(t, "one.lan/os", "1", noon)
	must(t, s.Put(one, list))
	two, list, _ := kept(t, "two.lan/os", "1", noon)
	must(t, s.Put(two, list))
	for host, want := range map[string]string{"one.lan": one.Digest, "two.lan": two.Digest, "mirror.lan": ""} {
		r := httptest.NewRequest("HEAD", "http://"+host+"/v2/os/manifests/1", nil)
		w := httptest.NewRecorder()
		Shelf{Store: s}.Handler().ServeHTTP(w, r)
		if got := w.Header().Get("Docker-Content-Digest"); got != want {
			t.Errorf("at %s the tag means %q, want %q", host, got, want)
		}
	}
}

// What is damaged, too large or too much is not there, and fails nothing.
func TestBounds(t *testing.T) {
	s := Store(t.TempDir())
	img, list, _ := kept(t, "registry.lan/os", "1", noon)
	many := list
	for n := range maxDocuments {
		many = append(many, Document{Data: fmt.Append(nil, n)})
	}
	must(t, s.Put(img, many))
	images, err := s.Images()
	must(t, err)
	if len(images) != 1 || len(images[0].Documents) != maxDocuments {
		t.Fatalf("%d images", len(images))
	}
	must(t, s.Put(img, []Document{{Data: make([]byte, MaxSize+1)}}))
	if images, err = s.Images(); err != nil || len(images[0].Documents) != maxDocuments {
		t.Errorf("what was kept before is gone: %d, %v", len(images[0].Documents), err)
	}
	must(t, os.WriteFile(s.content(hash(list[0].Data)), []byte("{}"), 0o600))
	if _, err := s.Read(hash(list[0].Data)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is damaged is read: %v", err)
	}
	must(t, s.Put(img, list))
	if data, err := s.Read(hash(list[0].Data)); err != nil || !bytes.Equal(data, list[0].Data) {
		t.Errorf("what is damaged is not replaced: %v", err)
	}
	must(t, os.WriteFile(s.record(img.key()), []byte(`{"version":1,"documents":[{"sha256":"../../x"}]}`), 0o600))
	if images, err := s.Images(); err != nil || len(images) != 0 {
		t.Errorf("a record of another image is read: %v %v", images, err)
	}
}

// Who has no generation any more has no documents.
func TestCollect(t *testing.T) {
	s := Store(t.TempDir())
	must(t, s.Collect(nil))
	stays, list, _ := kept(t, "registry.lan/os", "1", noon)
	must(t, s.Put(stays, list))
	goes, others, _ := kept(t, "registry.lan/os", "2", noon)
	must(t, s.Put(goes, others))
	if there, err := s.Saw("registry.lan/os", stays.Named, "3", noon); err != nil || !there {
		t.Errorf("%v, %v", there, err)
	}
	must(t, s.Collect(func(i Image) bool { return i.Digest == stays.Digest }))
	images, err := s.Images()
	must(t, err)
	if len(images) != 1 || images[0].Tag != "3" {
		t.Errorf("%+v", images)
	}
	for n, d := range append(list, others[0], others[2]) {
		if _, err := s.Read(hash(d.Data)); (err == nil) != (n < len(list)) {
			t.Errorf("document %d: %v", n, err)
		}
	}
}
