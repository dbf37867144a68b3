package buildah

import (
	"os"
	"path/filepath"
	"testing"
)

func TestStampContext(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "recipe"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "recipe", "script"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := stampContext(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".", "recipe", "recipe/script", "link"} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil || !info.ModTime().Equal(contextTime) {
			t.Errorf("%s is of %v, %v; want %v", name, info.ModTime(), err, contextTime)
		}
	}
}
