package image

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// A recorder is a registry that notes what is asked of it.
type recorder struct {
	*httptest.Server
	mu   sync.Mutex
	log  []string
	deny func(*http.Request) int // a status to answer with, 0 for none
}

func newRecorder(t *testing.T) *recorder {
	r := &recorder{deny: func(*http.Request) int { return 0 }}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.log = append(r.log, req.Method+" "+req.URL.Path)
		status := r.deny(req)
		r.mu.Unlock()
		if status != 0 {
			http.Error(w, "{}", status)
			return
		}
		inner.ServeHTTP(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) ref(repo string) string { return strings.TrimPrefix(r.URL, "http://") + "/" + repo }

// writes returns the requests since it was called last that change something.
func (r *recorder) writes() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.log {
		if !strings.HasPrefix(line, "GET ") && !strings.HasPrefix(line, "HEAD ") {
			out = append(out, line)
		}
	}
	r.log = nil
	return out
}

func pushOptions() Options {
	return Options{Insecure: true, Timing: Timing{Attempts: 2, Backoff: time.Millisecond, Idle: 2 * time.Second}}
}

// upload is an image of layers with these contents.
func upload(t *testing.T, ref string, contents ...string) Upload {
	t.Helper()
	u := Upload{Ref: ref, Tags: []string{"dated"}, Compression: "zstd"}
	var diffIDs []string
	for _, c := range contents {
		id := untrusted.SHA256([]byte(c)).String()
		diffIDs = append(diffIDs, id)
		u.Layers = append(u.Layers, UploadLayer{DiffID: id, Size: int64(len(c)), Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(c)), nil
		}})
	}
	engine, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{"Env": []string{"A=b"}, "Hostname": "x", "Labels": map[string]string{"own": "1"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	if err != nil {
		t.Fatal(err)
	}
	if u.Config, err = PublicConfig(engine, time.Unix(1e9, 0), map[string]string{"org.opencontainers.image.title": "desktop", "own": "2"}, ""); err != nil {
		t.Fatal(err)
	}
	return u
}

func mustPush(t *testing.T, u Upload) Uploaded {
	t.Helper()
	out, err := Push(t.Context(), u, pushOptions())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPushedImageIsPulled(t *testing.T) {
	r := newRecorder(t)
	big := strings.Repeat("layer ", 1<<19)
	for _, kind := range []string{"zstd", "gzip"} {
		u := upload(t, r.ref("desktop:nightly"), "one", big)
		u.Compression = kind
		pushed := mustPush(t, u)
		for _, tag := range []string{"nightly", "dated"} {
			found, err := Resolve(t.Context(), r.ref("desktop:"+tag), pushOptions())
			if err != nil || found.Digest != pushed.Digest {
				t.Errorf("%s: tag %s is %s, not %s: %v", kind, tag, found.Digest, pushed.Digest, err)
			}
		}
		img, err := Open(t.Context(), u.Ref, pushed.Digest, Options{Insecure: true, Platform: "linux/amd64"})
		if err != nil {
			t.Fatal(err)
		}
		if img.Labels["org.opencontainers.image.title"] != "desktop" || img.Labels["own"] != "1" || !slices.Equal(img.Env, []string{"A=b"}) || !img.Created.Equal(time.Unix(1e9, 0)) {
			t.Errorf("%s: %+v", kind, img)
		}
		rc, err := img.Layers[1].Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(rc)
		if err := errors.Join(err, rc.Close()); err != nil || string(data) != big {
			t.Errorf("%s: %d bytes: %v", kind, len(data), err)
		}
	}
}

func TestPushSendsOnlyWhatIsMissing(t *testing.T) {
	r := newRecorder(t)
	u := upload(t, r.ref("base:1"), "one", "two", "one")
	first := mustPush(t, u)
	if sent := slices.DeleteFunc(r.writes(), func(s string) bool { return !strings.HasPrefix(s, "PATCH") }); len(sent) != 2 || first.Blobs[2] != first.Blobs[0] {
		t.Errorf("sent %v of two layers, one of which is there twice", sent)
	}
	if first.There || first.Blobs[0].Repository != r.ref("base") {
		t.Errorf("first: %+v", first)
	}
	r.writes()
	for i := range u.Layers {
		u.Layers[i].Known = &first.Blobs[i]
		u.Layers[i].Open = func(context.Context) (io.ReadCloser, error) { return nil, errors.New("opened") }
	}
	again := mustPush(t, u)
	if !again.There || again.Digest != first.Digest || len(r.writes()) != 0 {
		t.Errorf("again: %+v", again)
	}
	// A child in another repository takes its parent's layers over.
	child := upload(t, r.ref("child:1"), "one", "two", "three")
	child.Layers[0], child.Layers[1] = u.Layers[0], u.Layers[1]
	taken := mustPush(t, child)
	patches := slices.DeleteFunc(r.writes(), func(s string) bool { return !strings.HasPrefix(s, "PATCH") })
	if len(patches) != 1 || taken.Blobs[0].Repository != r.ref("child") {
		t.Errorf("sent %v, %+v", patches, taken)
	}
	// What another registry has is made here anew.
	other := newRecorder(t)
	u.Ref = other.ref("base:1")
	if _, err := Push(t.Context(), u, pushOptions()); err == nil || !strings.Contains(err.Error(), "opened") {
		t.Errorf("another registry: %v", err)
	}
}

// The layers of a pulled base are taken over as they are.
func TestPushTakesTheBasesLayersOver(t *testing.T) {
	r := newRecorder(t)
	base := upload(t, r.ref("base:1"), "one")
	base.Compression = "gzip"
	mustPush(t, base)
	pulled, err := Open(t.Context(), base.Ref, "", Options{Insecure: true, Platform: "linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	known := pulled.Blobs(base.Ref)[base.Layers[0].DiffID]
	if !known.In(r.ref("child:1")) || known.In("r.lan/child:1") {
		t.Errorf("%+v", known)
	}
	child := upload(t, r.ref("child:1"), "one", "two")
	child.Layers[0].Known = &known
	child.Layers[0].Open = func(context.Context) (io.ReadCloser, error) { return nil, errors.New("opened") }
	mustPush(t, child)
	img, err := Open(t.Context(), child.Ref, "", Options{Insecure: true, Platform: "linux/amd64"})
	if err != nil || img.Layers[0].Digest != known.Digest || img.Layers[0].MediaType == img.Layers[1].MediaType {
		t.Errorf("%+v, %v", img, err)
	}
}
