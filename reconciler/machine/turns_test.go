package machine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/stage"
)

// A dripping registry gives the blobs of repositories named slow a byte at a time,
// until it is let go.
type dripping struct {
	*httptest.Server
	real  http.Handler
	letGo chan struct{}
}

func newDripping(t *testing.T) *dripping {
	t.Helper()
	d := &dripping{real: registry.New(registry.Logger(log.New(io.Discard, "", 0))), letGo: make(chan struct{})}
	d.Server = httptest.NewServer(d)
	t.Cleanup(d.Close)
	return d
}

func (d *dripping) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, "/v2/slow") || !strings.Contains(r.URL.Path, "/blobs/") {
		d.real.ServeHTTP(w, r)
		return
	}
	rec := httptest.NewRecorder()
	d.real.ServeHTTP(rec, r)
	data := rec.Body.Bytes()
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if len(data) < 2000 { // the configuration
		_, _ = w.Write(data)
		return
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(data) > 0 {
		select {
		case <-d.letGo:
			_, _ = w.Write(data)
			return
		case <-r.Context().Done():
			return
		case <-tick.C:
			_, _ = w.Write(data[:1])
			w.(http.Flusher).Flush()
			data = data[1:]
		}
	}
}

// push publishes an image of one layer and opens it.
func (d *dripping) push(t *testing.T, repo string, opts image.Options) *image.Image {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	content := []byte(strings.Repeat(repo+" ", 100_000))
	if err := w.WriteHeader(&tar.Header{Name: repo, Size: int64(len(content)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(content)
	w.Close()
	img, err := mutate.AppendLayers(empty.Image, static.NewLayer(layer.Bytes(), types.OCIUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	ref := strings.TrimPrefix(d.URL, "http://") + "/" + repo + ":1"
	if err := crane.Push(img, ref, crane.Insecure); err != nil {
		t.Fatal(err)
	}
	opened, err := image.Open(t.Context(), ref, "", opts)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func imagesOf(list []*staging) (out []string) {
	for _, s := range list {
		out = append(out, s.Image)
	}
	return out
}

// applying gives a run that is about to stage images, each of its own registry but
// for those whose names begin alike: slow1, slow2.
func applying(t *testing.T, d *dripping, m Machine, timing image.Timing, stop <-chan struct{}, images ...string) *application {
	t.Helper()
	st, err := stage.Create(t.TempDir() + "/stage")
	if err != nil {
		t.Fatal(err)
	}
	m.Log, m.Stage = slog.New(slog.DiscardHandler), st
	m.Now = time.Now
	a := newApplication(t.Context(), &Job{Machine: m, plan: plan.Plan{Failed: map[string]error{}}}, stop)
	t.Cleanup(a.turns.end)
	opts := image.Options{Timing: timing, Insecure: true, Platform: "linux/amd64"}
	for _, name := range images {
		opened := d.push(t, name, opts)
		opened.Registry = strings.TrimRight(name, "0123456789")
		a.stagings = append(a.stagings, &staging{Staging: plan.Staging{Image: name}, image: &observedImage{opened: opened}})
	}
	return a
}

// publishing goes through with a run, and tells what is published together.
func publishing(t *testing.T, a *application, first func()) (published []string) {
	t.Helper()
	err := a.layers(t.Context(), nil)
	note := func(context.Context) error {
		published = append(published, fmt.Sprint(imagesOf(a.stagings)))
		return nil
	}
	if err == nil {
		err = note(t.Context())
		first()
	}
	if err == nil {
		err = a.rest(t.Context(), note)
	}
	if err != nil {
		t.Fatal(err)
	}
	return published
}

func TestASlowImageHoldsUpNoOther(t *testing.T) {
	d := newDripping(t)
	a := applying(t, d, Machine{Turn: time.Millisecond}, image.Timing{MinRate: 1}, nil, "slow", "quick")
	got := publishing(t, a, func() {
		if !a.turns.left("slow") {
			t.Error("the slow image is not waited for")
		}
		close(d.letGo)
	})
	if fmt.Sprint(got) != "[[quick] [slow]]" || len(a.stagings[0].layers) != 1 || len(a.failed()) > 0 {
		t.Errorf("published %v, failed %v", got, a.failed())
	}
}

// However many images a registry has, those of others come first.
func TestASlowRegistryHoldsUpNoOther(t *testing.T) {
	d := newDripping(t)
	var images []string
	for i := range 2 * atOneRegistry {
		images = append(images, fmt.Sprint("slow", i))
	}
	a := applying(t, d, Machine{Turn: time.Millisecond}, image.Timing{MinRate: 1}, nil, append(images, "quick")...)
	got := publishing(t, a, func() {
		if n := len(a.turns.running); n != atOneRegistry {
			t.Errorf("%d images of one registry at once", n)
		}
		close(d.letGo)
	})
	if got[0] != "[quick]" || len(a.published)+len(a.stagings) != len(images)+1 || len(a.failed()) > 0 {
		t.Errorf("published %v, failed %v", got, a.failed())
	}
}

// A run that only waits for a slow image ends for what is newer.
func TestASlowImageHoldsUpNoRevision(t *testing.T) {
	d := newDripping(t)
	stop := make(chan struct{})
	close(stop)
	a := applying(t, d, Machine{Turn: time.Millisecond}, image.Timing{MinRate: 1}, stop, "slow")
	if err := a.layers(t.Context(), nil); !errors.Is(err, ErrSuperseded) || len(a.failed()) > 0 {
		t.Errorf("error %v, failed %v", err, a.failed())
	}
}

// Whoever sends a byte now and then is given up, by its rate or in the end.
func TestASlowImageIsGivenUp(t *testing.T) {
	for words, c := range map[string]struct {
		find   origin.Finder
		timing image.Timing
	}{
		"the server is too slow":                  {origin.Finder{}, image.Timing{MinRate: 1 << 20, Idle: time.Second, Attempts: 1}},
		"fetching it took too long, more than 3s": {origin.Finder{ImageTime: 3 * time.Second}, image.Timing{MinRate: 1}},
	} {
		a := applying(t, newDripping(t), Machine{Turn: time.Millisecond, Find: c.find}, c.timing, nil, "slow", "quick")
		publishing(t, a, func() {})
		failed := a.failed()
		if err := failed["slow"]; len(failed) != 1 || err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("failed: %v, want %q", failed, words)
		}
	}
}
