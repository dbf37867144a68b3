// Package staged makes stages, and deployments on them, that tests of what is done with a
// stage begin with.
package staged

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/stage"
)

// New makes an empty stage that goes with the test.
func New(t testing.TB) *stage.Stage { return In(t, t.TempDir()) }

// In makes one in a folder.
func In(t testing.TB, dir string) *stage.Stage {
	t.Helper()
	st, err := stage.Create(filepath.Join(dir, "stage"))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// File makes an object that holds a word.
func File(t testing.TB, st *stage.Stage, content string) deployment.Object {
	t.Helper()
	o, err := st.AddFile(t.Context(), strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Manifest makes a deployment of objects that hold the given words.
func Manifest(t testing.TB, st *stage.Stage, words ...string) *deployment.Manifest {
	t.Helper()
	m := &deployment.Manifest{
		Version: deployment.Version, Image: "test", KernelVersion: "6.1",
		Kernel: File(t, st, "kernel"), Initramfs: File(t, st, "initramfs"),
	}
	for _, word := range words {
		m.Layers = append(m.Layers, File(t, st, word))
	}
	return m
}

// Publish publishes a deployment.
func Publish(t testing.TB, st *stage.Stage, m *deployment.Manifest) (id string) {
	t.Helper()
	id, err := st.Publish(m)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
