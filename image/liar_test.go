package image

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// TestMirrorLies has a mirror whose disk rots, or behind something that changes what it
// passes on: what it gave is asked of the registry, which gives it.
func TestMirrorLies(t *testing.T) {
	main, ref, digest, content := pushed(t)
	mirror := newWire(t)
	mirror.push(t, "app:1", imageOf(t, layerOf(zst(t, content), content, types.OCILayerZStd)))
	opts := quick()
	opts.Mirrors = []string{mirror.host}
	lies := func(give func([]byte) []byte) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if !strings.Contains(r.URL.Path, "/blobs/") {
				next.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush() // so that no length is told
			_, _ = w.Write(give(whole(r, next).body.Bytes()))
		}
	}
	for name, give := range map[string]func([]byte) []byte{
		"another byte": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"more":         func(b []byte) []byte { return append(b, "more"...) },
		"something else": func(b []byte) []byte {
			return bytes.Repeat([]byte{7}, len(b))
		},
		// The registry gives the rest, and did not lie.
		"something else, and half": func(b []byte) []byte { return bytes.Repeat([]byte{7}, len(b)/2) },
	} {
		t.Run(name, func(t *testing.T) {
			mirror.broken(lies(give))
			img, err := Open(t.Context(), ref, digest, opts)
			check(t, err)
			_, err = readLayer(t.Context(), img.Layers[0])
			wantError[*DigestError](t, err, mirror.host)
			if !img.Misled(err) {
				t.Errorf("nobody is to be asked again: %v", err)
			}
			main.broken(nil)
			got, err := readLayer(t.Context(), img.Layers[0])
			check(t, err)
			if !bytes.Equal(got, content) || main.count("GET", "/blobs/") != 1 {
				t.Errorf("it is another content, or %d requests to the registry", main.count("GET", "/blobs/"))
			}
		})
	}
	mirror.broken(nil)
	main.broken(lies(func(b []byte) []byte { return b[:1] }))
	opts.Mirrors = nil
	_, err := Open(t.Context(), ref, digest, opts)
	wantWords(t, err, "configuration", main.host)
	if img := (&Image{Registry: main.host}); img.Misled(err) {
		t.Error("the registry itself is to be asked again")
	}
}
