package damage

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/staged"
)

func TestFind(t *testing.T) {
	s := staged.New(t)
	m := staged.Manifest(t, s, "one", "two", "three", "four")
	id := staged.Publish(t, s, m)
	if found, err := Find(t.Context(), s, 0, nil); err != nil || len(found) > 0 {
		t.Fatalf("found %v, %v", found, err)
	}
	flip := func(o deployment.Object, content string) {
		if err := os.WriteFile(s.ObjectPath(o), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flip(m.Layers[0], "One")
	flip(m.Layers[1], "tw")
	if err := os.Remove(s.ObjectPath(m.Layers[2])); err != nil {
		t.Fatal(err)
	}
	found, err := Find(t.Context(), s, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	said := make(map[string]string)
	for _, d := range found {
		said[d.Path] += d.What + "; "
		if len(d.Deployments) != 1 || d.Deployments[0] != id || d.Remedy == "" {
			t.Errorf("%s: deployments %v, remedy %q", d.Path, d.Deployments, d.Remedy)
		}
	}
	for i, want := range []string{"the content has the sha256 " + digest([]byte("One")), "2 bytes long instead of 3", "missing"} {
		if got := said[m.Layers[i].Path()]; !strings.Contains(got, want) {
			t.Errorf("layer %d: %q, want %q", i, got, want)
		}
	}
	if len(said) != 3 {
		t.Errorf("found %v", said)
	}
}

func TestFindDamagedManifest(t *testing.T) {
	s := staged.New(t)
	id := staged.Publish(t, s, staged.Manifest(t, s, "layer"))
	if err := os.WriteFile(filepath.Join(s.Dir(), "deployments", id+".json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := Find(t.Context(), s, 0, nil)
	if err != nil || len(found) != 1 || found[0].Path != "deployments/"+id+".json" {
		t.Errorf("found %v, %v", found, err)
	}
}

func digest(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }
