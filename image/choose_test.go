package image

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// indexOf is an OCI index of images for the given platforms.
func indexOf(t *testing.T, platforms ...string) v1.ImageIndex {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, s := range platforms {
		p, err := v1.ParsePlatform(s)
		check(t, err)
		content := someTar(t, 1000+len(s))
		img := imageFor(t, p.Architecture, layerOf(gz(t, content), content, types.OCILayer))
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: p}})
	}
	return index
}

func (w *wire) pushIndex(t *testing.T, repo string, index v1.ImageIndex) string {
	t.Helper()
	ref, err := name.ParseReference(w.host+"/"+repo, name.Insecure)
	check(t, err)
	check(t, remote.WriteIndex(ref, index))
	d, err := index.Digest()
	check(t, err)
	return d.String()
}

func TestPlatforms(t *testing.T) {
	w := newWire(t)
	digest := w.pushIndex(t, "multi:1", indexOf(t, "linux/amd64", "linux/arm64/v8", "linux/arm/v7", "unknown/unknown"))
	for platform, arch := range map[string]string{
		"linux/amd64": "amd64", "linux/arm64": "arm64", "linux/arm64/v8": "arm64", "linux/arm/v7": "arm", "linux/arm": "arm",
	} {
		opts := quick()
		opts.Platform = platform
		img, err := Open(context.Background(), w.host+"/multi:1", digest, opts)
		check(t, err)
		if img.Labels["made"] != "for "+arch || img.Digest == digest {
			t.Errorf("%s: opened %+v", platform, img)
		}
		_, err = readLayers(img)
		check(t, err)
	}
	for platform, words := range map[string]string{
		"linux/riscv64": "linux/amd64, linux/arm/v7, linux/arm64",
		"linux/arm/v6":  "linux/arm/v7",
	} {
		opts := quick()
		opts.Platform = platform
		_, err := Open(context.Background(), w.host+"/multi:1", digest, opts)
		wantError[*PlatformError](t, err, platform, words)
	}
	opts := quick()
	opts.Platform = "amd64"
	_, err := Open(context.Background(), w.host+"/multi:1", digest, opts)
	wantWords(t, err, "os/architecture")
}

func TestSinglePlatformIsChecked(t *testing.T) {
	w, ref, digest, _ := pushed(t)
	opts := quick()
	opts.Platform = "linux/arm64"
	_, err := Open(context.Background(), ref, digest, opts)
	wantError[*PlatformError](t, err, "linux/arm64", "linux/amd64", w.host)
}

func TestRefusedImages(t *testing.T) {
	w := newWire(t)
	for media, words := range map[types.MediaType][]string{
		"application/vnd.oci.image.layer.v1.tar+gzip+encrypted":  {"encrypted"},
		types.DockerForeignLayer:                                 {"outside of the registry", "foreign"},
		types.OCIRestrictedLayer:                                 {"outside of the registry"},
		"application/vnd.cncf.helm.chart.content.v1.tar+gzip":    {"not a layer of a file system"},
		"application/vnd.oci.image.layer.v1.tar+zstd\x1b[31mred": {"decoy"},
	} {
		content := someTar(t, 500+len(media)) // a registry that has it serves it
		digest := w.push(t, "refused:1", imageOf(t, layerOf(gz(t, content), content, media)))
		_, err := pull(w.host+"/refused:1", digest, quick())
		if words[0] == "decoy" {
			check(t, err) // odd suffixes are harmless: content decides
			continue
		}
		wantError[*UnsupportedError](t, err, words...)
	}
	artifact := mutate.ConfigMediaType(imageOf(t), "application/vnd.example.config")
	digest := w.push(t, "artifact:1", artifact)
	_, err := pull(w.host+"/artifact:1", digest, quick())
	wantError[*UnsupportedError](t, err, "not an image's")
}

// A layer of which its maker says that it must not be distributed is used where
// the registry has it all the same.
func TestForeignLayersThatAreThere(t *testing.T) {
	w := newWire(t)
	content := someTar(t, 500)
	for _, media := range []types.MediaType{types.DockerForeignLayer, types.OCIRestrictedLayer, types.OCIUncompressedRestrictedLayer} {
		img := imageOf(t, layerOf(gz(t, content), content, media))
		ref, err := name.ParseReference(w.host+"/foreign:1", name.Insecure)
		check(t, err)
		check(t, remote.Write(ref, img, remote.WithNondistributable))
		got, err := pull(w.host+"/foreign:1", "", quick())
		check(t, err)
		if !bytes.Equal(got[0], content) {
			t.Errorf("%s: the content differs", media)
		}
	}
}

// An index need not say what its images are for.
func TestAnIndexWithoutPlatforms(t *testing.T) {
	w := newWire(t)
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var digests []string
	for _, arch := range []string{"amd64", "arm64"} {
		img := imageFor(t, arch)
		d, err := img.Digest()
		check(t, err)
		digests = append(digests, d.String())
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img})
	}
	digest := w.pushIndex(t, "loose:1", index)
	_, err := pull(w.host+"/loose:1", digest, quick())
	wantError[*UnsupportedError](t, err, "index of 2 images", "none", digests[0], digests[1])
	_, err = pull(w.host+"/loose:1", w.pushIndex(t, "loose:2", mutate.IndexMediaType(empty.Index, types.OCIImageIndex)), quick())
	wantError[*UnsupportedError](t, err, "lists no image")
}

func TestSchema1IsRefused(t *testing.T) {
	w := newWire(t)
	old := []byte(`{"schemaVersion": 1, "name": "old", "fsLayers": []}`)
	w.broken(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, "/manifests/") {
			_, _ = rw.Write(old)
			return
		}
		next.ServeHTTP(rw, r)
	})
	_, err := pull(w.host+"/old:1", sum(old), quick())
	wantError[*UnsupportedError](t, err, "schema 1", "push the image again")
	_, err = pull(w.host+"/old:1", sum([]byte("else")), quick())
	wantError[*DigestError](t, err, "manifest sha256:")
}

func TestResolveWithoutADigestHeader(t *testing.T) {
	w, ref, digest, _ := pushed(t)
	for name, mid := range map[string]func(http.ResponseWriter, *http.Request, http.Handler){
		"no header": func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			rw.WriteHeader(rec.Code)
			_, _ = rw.Write(rec.Body.Bytes())
		},
		"no HEAD": func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Method == http.MethodHead {
				rw.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			next.ServeHTTP(rw, r)
		},
	} {
		w.broken(mid)
		r, err := Resolve(context.Background(), ref, quick())
		check(t, err)
		if r.Digest != digest || w.count("GET", "/manifests/") != 1 {
			t.Errorf("%s: resolved to %+v", name, r)
		}
	}
}

func TestResolveOfADigestAsksNobody(t *testing.T) {
	noCredentials(t)
	r, err := Resolve(context.Background(), "registry.invalid/app:1@"+sum(nil), Options{})
	check(t, err)
	if r.Digest != sum(nil) {
		t.Errorf("resolved to %+v", r)
	}
	for _, ref := range []string{"", "UPPER/case", "a b", "https://registry.example/app:1", "app@sha256:12"} {
		_, err := Resolve(context.Background(), ref, Options{})
		wantWords(t, err, "write it as")
	}
}

func TestMirrors(t *testing.T) {
	main, ref, digest, content := pushed(t)
	mirror := newWire(t)
	mirror.push(t, "cache/app:1", imageOf(t, layerOf(zst(t, content), content, types.OCILayerZStd)))
	opts := quick()
	gone := httptest.NewServer(nil)
	gone.Close()
	opts.Mirrors = []string{strings.TrimPrefix(gone.URL, "http://"), mirror.host + "/cache"}
	main.broken(nil)

	_, err := pull(ref, digest, opts)
	check(t, err)
	if main.count("", "/") > 0 {
		t.Error("the registry was asked for what a mirror has")
	}
	faults := map[string]func(http.ResponseWriter, *http.Request, http.Handler){
		"has nothing": func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) { rw.WriteHeader(404) },
		"is down":     func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) { rw.WriteHeader(503) },
		"refuses":     func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) { rw.WriteHeader(403) },
		"no blobs":    onBlob(func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) { rw.WriteHeader(404) }),
		"cuts blobs": onBlob(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			cutAt(rw, whole(r, next), 400_000)
		}),
		"wrong size": onBlob(func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) { _, _ = rw.Write([]byte("no")) }),
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			mirror.broken(fault)
			got, err := pull(ref, digest, opts)
			check(t, err)
			if !bytes.Equal(got[0], content) {
				t.Error("the content differs")
			}
		})
	}
	main.broken(faults["is down"])
	mirror.broken(faults["has nothing"])
	opts.TrustMirrorTags = true
	_, err = Resolve(context.Background(), ref, opts)
	wantWords(t, err, "connection refused", mirror.host+"/cache/app has no", "503")
}

// A mirror that gives a tag another image would decide what boots.
func TestMirrorDecidesNoTag(t *testing.T) {
	main, ref, digest, _ := pushed(t)
	mirror := newWire(t)
	other := someTar(t, 200_000)
	lie := mirror.push(t, "app:1", imageOf(t, layerOf(zst(t, other), other, types.OCILayerZStd)))
	opts := quick()
	opts.Mirrors = []string{mirror.host}
	mirror.broken(nil)

	r, err := Resolve(context.Background(), ref, opts)
	check(t, err)
	if r.Digest != digest || r.From != main.host+"/app" || mirror.count("", "/") > 0 {
		t.Errorf("resolved to %+v, with %d requests to the mirror", r, mirror.count("", "/"))
	}
	img, err := Open(context.Background(), ref, "", opts)
	check(t, err)
	if img.Digest != digest {
		t.Errorf("opened %s, want %s", img.Digest, digest)
	}
	// What the registry does not say stays unknown, and why is said.
	main.broken(func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) { rw.WriteHeader(404) })
	_, err = Resolve(context.Background(), ref, opts)
	wantError[*NotFoundError](t, err, "trust_mirror_tags = true", mirror.host, "name the image with a digest")

	opts.TrustMirrorTags = true
	if r, err = Resolve(context.Background(), ref, opts); err != nil || r.Digest != lie || r.From != mirror.host+"/app" {
		t.Errorf("a mirror that is trusted says %+v, %v", r, err)
	}
}

// A mirror whose bytes were false is asked last the next time.
func TestLyingMirror(t *testing.T) {
	_, ref, digest, content := pushed(t)
	mirror := newWire(t)
	mirror.push(t, "app:1", imageOf(t, layerOf(zst(t, content), content, types.OCILayerZStd)))
	mirror.broken(onBlob(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		body := whole(r, next).body.Bytes()
		body[len(body)/3] ^= 8
		_, _ = rw.Write(body)
	}))
	opts := quick()
	opts.Mirrors = []string{mirror.host}
	img, err := Open(context.Background(), ref, digest, opts)
	check(t, err)
	_, err = readLayer(context.Background(), img.Layers[0])
	wantError[*DigestError](t, err, mirror.host)
	got, err := readLayer(context.Background(), img.Layers[0])
	check(t, err)
	if !bytes.Equal(got, content) {
		t.Error("the content differs")
	}
}

func TestBadMirrors(t *testing.T) {
	noCredentials(t)
	for _, m := range []string{"no host", "justaname", "host.example/UPPER", "ftp://host.example"} {
		opts := quick()
		opts.Mirrors = []string{m}
		_, err := Resolve(context.Background(), "registry.example/app:1", opts)
		wantWords(t, err, "mirror", "host[:port]")
	}
}
