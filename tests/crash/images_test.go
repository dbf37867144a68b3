package crash

import (
	"archive/tar"
	"os"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// pushTwo pushes two images that share a Debian root file system and differ
// in a small layer above it.
func pushTwo(t *testing.T, registry *lab.Registry, dir string) (first, second string) {
	t.Helper()
	base, err := lab.RootFS(t.Context(), lab.Bookworm)
	if err != nil {
		t.Fatal(err)
	}
	push := func(tag string) string {
		layer := filepath.Join(dir, tag+".tar")
		writeTar(t, layer, "etc/which", tag)
		ref, _, err := registry.Push(t.Context(), "desktop:"+tag, nil, lab.Layer{Path: base, Compression: lab.None}, lab.Layer{Path: layer})
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	return push("one"), push("two")
}

func writeTar(t *testing.T, path, name, content string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(f)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
