package stage

import (
	"archive/tar"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
)

// An image's configuration may claim any diff id. What it claims must not
// become the layer of an image that tells the truth.
func TestAFalseDiffIDHurtsOnlyItsOwnImage(t *testing.T) {
	needTar2sqfs(t)
	s := newStage(t)
	honest := smallTar(t, file("honest", 3))
	evil := smallTar(t, file("evil", 3))
	diffID := "sha256:" + digest(honest)
	claim := func(data []byte, blob string) Tar {
		src := source(data)
		src.DiffID, src.Blob = diffID, blob
		return src
	}
	poisoned, err := s.AddLayer(t.Context(), claim(evil, "sha256:evil"))
	if err != nil {
		t.Fatal(err)
	}
	if o := staged(t, s, LayerID{diffID, "sha256:evil"}); o != poisoned {
		t.Errorf("the same blob is not known again: %v", o)
	}
	if o := staged(t, s, LayerID{diffID, "sha256:honest"}); o != (deployment.Object{}) {
		t.Error("another blob's layer is taken for this one")
	}
	if _, err := s.AddLayer(t.Context(), claim(evil, "sha256:other")); err == nil || !strings.Contains(err.Error(), "not what the image's configuration names") {
		t.Errorf("a second blob with a false diff id: %v", err)
	}
	got, err := s.AddLayer(t.Context(), claim(honest, "sha256:honest"))
	if err != nil || got == poisoned {
		t.Fatalf("the honest image got %v, %v", got, err)
	}
	if o := staged(t, s, LayerID{diffID, ""}); o != got {
		t.Errorf("the diff id that was checked is not known to everybody: %v", o)
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
