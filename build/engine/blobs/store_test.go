package blobs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/enginetest"
	"github.com/gitboot/gitboot/build/engine/oci"
	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
	"github.com/gitboot/gitboot/internal/durable"
)

// stored imports an image of layers that hold no more than a text each.
func stored(t *testing.T, b *Store, layers ...string) engine.Image {
	t.Helper()
	layout := t.TempDir()
	if err := os.MkdirAll(oci.Blobs(layout), 0o700); err != nil {
		t.Fatal(err)
	}
	var all []oci.Descriptor
	for _, text := range layers {
		d := oci.Descriptor{MediaType: oci.MediaLayer, Digest: oci.Digest([]byte(text)), Size: int64(len(text))}
		if err := os.WriteFile(oci.Blob(layout, d.Digest), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	if err := oci.WriteLayout(layout, all, map[string]any{}, "amd64"); err != nil {
		t.Fatal(err)
	}
	img, err := b.Import(t.Context(), layout)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func newStore(t *testing.T) *Store { return &Store{Dir: filepath.Join(t.TempDir(), "store")} }

func TestStore(t *testing.T) {
	b := newStore(t)
	one, two := stored(t, b, "common", "one"), stored(t, b, "common", "two")
	if one.ID == two.ID || one.Layers[0].DiffID != two.Layers[0].DiffID || one.Layers[0].Size != int64(len("common")) || len(one.Config) == 0 {
		t.Errorf("%+v %+v", one, two)
	}
	if again := stored(t, b, "common", "one"); again.ID != one.ID {
		t.Error("the same image has another id")
	}
	if found, _ := filepath.Glob(filepath.Join(oci.Blobs(b.Dir), "*")); len(found) != 3+2+2 {
		t.Errorf("%d blobs, want three layers and two images", len(found))
	}
	lost := oci.Blob(b.Dir, two.Layers[1].DiffID)
	if err := os.Remove(lost); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Image(t.Context(), two.ID); !errors.Is(err, engine.ErrGone) {
		t.Errorf("an image without a layer: %v", err)
	}
	for _, id := range []string{"", "sha256:", "sha256:../../../etc/passwd", one.Layers[0].DiffID[7:]} {
		if _, err := b.Image(t.Context(), id); !errors.Is(err, engine.ErrGone) {
			t.Errorf("image %q: %v", id, err)
		}
	}
}

func TestAFalseLayoutIsRefused(t *testing.T) {
	b, layout := newStore(t), t.TempDir()
	img := stored(t, b, "layer")
	if err := os.CopyFS(filepath.Join(layout, "blobs"), os.DirFS(filepath.Join(b.Dir, "blobs"))); err != nil {
		t.Fatal(err)
	}
	index := `{"manifests":[{"digest":"` + img.ID + `"}]}`
	if err := errors.Join(os.WriteFile(filepath.Join(layout, "index.json"), []byte(index), 0o600),
		os.WriteFile(oci.Blob(layout, img.Layers[0].DiffID), []byte("false"), 0o600)); err != nil {
		t.Fatal(err)
	}
	other := newStore(t)
	if _, err := other.Import(t.Context(), layout); err == nil || !strings.Contains(err.Error(), "in truth") {
		t.Error(err)
	}
	if _, err := other.Image(t.Context(), img.ID); !errors.Is(err, engine.ErrGone) {
		t.Errorf("a part of an image is one: %v", err)
	}
}

func TestClean(t *testing.T) {
	b := newStore(t)
	if err := b.Clean(t.Context()); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	img := stored(t, b, "layer")
	cut := filepath.Join(b.Dir, protocol.IngestFolder, "cut")
	if err := errors.Join(os.Mkdir(cut, 0o700), os.WriteFile(filepath.Join(cut, "data"), nil, 0o600),
		os.WriteFile(filepath.Join(b.Dir, durable.TempPrefix+"1"), nil, 0o600), b.Clean(t.Context())); err != nil {
		t.Fatal(err)
	}
	enginetest.Empty(t, filepath.Join(b.Dir, protocol.IngestFolder))
	if left, _ := filepath.Glob(filepath.Join(b.Dir, durable.TempPrefix+"*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := b.Image(t.Context(), img.ID); err != nil {
		t.Error(err)
	}
}

func TestCollect(t *testing.T) {
	b := newStore(t)
	if freed, err := b.Collect(t.Context(), nil, 0); freed != 0 || err != nil {
		t.Errorf("of nothing: %d %v", freed, err)
	}
	layer := func(c string) string { return strings.Repeat(c, 10000) }
	kept, old, recent := stored(t, b, layer("c"), layer("k")), stored(t, b, layer("c"), layer("o")), stored(t, b, layer("c"), layer("r"))
	then := time.Now().Add(-time.Hour)
	for _, img := range []engine.Image{kept, old} {
		if err := os.Chtimes(oci.Blob(b.Dir, img.ID), then, then); err != nil {
			t.Fatal(err)
		}
	}
	keep := []string{kept.ID, "sha256:" + strings.Repeat("0", 64)}
	for _, c := range []struct {
		limit, atLeast, atMost int64
		left                   []engine.Image
	}{
		{50000, 0, 0, []engine.Image{kept, old, recent}},
		{35000, 10000, 12000, []engine.Image{kept, recent}},
		{0, 10000, 12000, []engine.Image{kept}},
		{0, 0, 0, []engine.Image{kept}},
	} {
		freed, err := b.Collect(t.Context(), keep, c.limit)
		if err != nil || freed < c.atLeast || freed > c.atMost {
			t.Errorf("limit %d: %d bytes are freed: %v", c.limit, freed, err)
		}
		for _, img := range []engine.Image{kept, old, recent} {
			_, err := b.Image(t.Context(), img.ID)
			there := strings.Contains(ids(c.left), img.ID)
			if there != (err == nil) || err != nil && !errors.Is(err, engine.ErrGone) {
				t.Errorf("limit %d: image %.19s: %v", c.limit, img.ID, err)
			}
		}
	}
	left := filepath.Join(oci.Blobs(b.Dir), strings.Repeat("1", 64))
	if err := os.WriteFile(left, []byte("of a cut build"), 0o600); err != nil {
		t.Fatal(err)
	}
	if freed, err := b.Collect(t.Context(), keep, 1); freed != 14 || err != nil {
		t.Errorf("a layer that nothing names: %d bytes are freed: %v", freed, err)
	}
}

func ids(images []engine.Image) (out string) {
	for _, img := range images {
		out += img.ID
	}
	return out
}

// Whatever a builder gives as a manifest, it names nothing outside the store.
func FuzzManifest(f *testing.F) {
	const layer = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, seed := range []string{
		`{"config":{"digest":"` + layer + `"},"layers":[{"digest":"` + layer + `"}]}`,
		`{"config":{"digest":"sha256:../../x"},"layers":[{"digest":"../../../../etc/passwd"}]}`,
		`{"layers":[{}]}`, `{"layers":null}`, `[]`, ``, `{"config":{"digest":1}}`,
	} {
		f.Add([]byte(seed))
	}
	b := &Store{Dir: filepath.Join(f.TempDir(), "store")}
	if err := errors.Join(b.Make(), os.WriteFile(oci.Blob(b.Dir, layer), []byte("{}"), 0o600)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		id := oci.Digest(data)
		path := oci.Blob(b.Dir, id)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(path)
		if _, _, err := b.Stored(); err != nil {
			t.Error(err)
		}
		m, err := b.Manifest(id)
		if err != nil {
			return
		}
		for _, blob := range m.Blobs() {
			if got := filepath.Dir(oci.Blob(b.Dir, blob.Digest)); got != filepath.Dir(path) {
				t.Errorf("%q is in %s", blob.Digest, got)
			}
		}
		b.Image(t.Context(), id)
	})
}
