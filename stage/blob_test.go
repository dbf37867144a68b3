package stage

import (
	"archive/tar"
	"strings"
	"testing"
)

// An image's configuration may claim any diff id. What it claims must not
// become the layer of an image that tells the truth.
func TestAFalseDiffIDHurtsOnlyItsOwnImage(t *testing.T) {
	needTar2sqfs(t)
	s := newStage(t)
	honest := smallTar(t, file("honest", 3))
	evil := smallTar(t, file("evil", 3))
	diffID := "sha256:" + digest(honest)
	claim := func(data []byte, blob string) Source {
		src := source(data)
		src.DiffID, src.Blob = diffID, blob
		return src
	}
	poisoned, err := s.AddLayer(t.Context(), claim(evil, "sha256:evil"))
	if err != nil {
		t.Fatal(err)
	}
	if o, ok, err := s.Layer(diffID, "sha256:evil"); err != nil || !ok || o != poisoned {
		t.Errorf("the same blob is not known again: %v %v", ok, err)
	}
	if _, ok, _ := s.Layer(diffID, "sha256:honest"); ok {
		t.Error("another blob's layer is taken for this one")
	}
	if _, err := s.AddLayer(t.Context(), claim(evil, "sha256:other")); err == nil || !strings.Contains(err.Error(), "not what the image's configuration names") {
		t.Errorf("a second blob with a false diff id: %v", err)
	}
	got, err := s.AddLayer(t.Context(), claim(honest, "sha256:honest"))
	if err != nil || got == poisoned {
		t.Fatalf("the honest image got %v, %v", got, err)
	}
	if o, ok, err := s.Layer(diffID, ""); err != nil || !ok || o != got {
		t.Errorf("the diff id that was checked is not known to everybody: %v %v", ok, err)
	}
}

// Nobody hashes the tar of a blob that was verified; the content is the
// object's all the same.
func TestAVerifiedBlobGivesTheSameObject(t *testing.T) {
	needTar2sqfs(t)
	data := smallTar(t, file("a", 100), &tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o755})
	src := source(data)
	plain, err := newStage(t).AddLayer(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	src.Blob = "sha256:blob"
	if trusted, err := newStage(t).AddLayer(t.Context(), src); err != nil || trusted != plain {
		t.Errorf("%v, %v; want %v", trusted, err, plain)
	}
}
