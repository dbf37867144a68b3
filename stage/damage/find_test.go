package damage

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/stage"
)

func newStage(t *testing.T) *stage.Stage {
	t.Helper()
	st, err := stage.Create(filepath.Join(t.TempDir(), "stage"))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func addFile(t *testing.T, st *stage.Stage, content string) deployment.Object {
	t.Helper()
	o, err := st.AddFile(t.Context(), strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// manifest makes a deployment of objects that hold the given words.
func manifest(t *testing.T, st *stage.Stage, words ...string) *deployment.Manifest {
	t.Helper()
	m := &deployment.Manifest{
		Version: deployment.Version, Image: "test", KernelVersion: "6.1",
		Kernel: addFile(t, st, "kernel"), Initramfs: addFile(t, st, "initramfs"),
	}
	for _, word := range words {
		m.Layers = append(m.Layers, addFile(t, st, word))
	}
	return m
}

func publish(t *testing.T, st *stage.Stage, m *deployment.Manifest) string {
	t.Helper()
	id, err := st.Publish(m)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestFind(t *testing.T) {
	s := newStage(t)
	m := manifest(t, s, "one", "two", "three", "four")
	id := publish(t, s, m)
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
	s := newStage(t)
	id := publish(t, s, manifest(t, s, "layer"))
	if err := os.WriteFile(filepath.Join(s.Dir(), "deployments", id+".json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := Find(t.Context(), s, 0, nil)
	if err != nil || len(found) != 1 || found[0].Path != "deployments/"+id+".json" {
		t.Errorf("found %v, %v", found, err)
	}
}

func digest(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }
