package trigger

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/fsnotify/fsnotify"
)

// Looking for folders that could not be watched loses nothing of those that are.
func TestArm(t *testing.T) {
	repo := t.TempDir()
	heads := filepath.Join(repo, ".git/refs/heads")
	for path, text := range map[string]string{"HEAD": "ref: refs/heads/main\n", "objects/x": "", "refs/heads/main": ""} {
		path = filepath.Join(repo, ".git", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	v := &view{repo: repo, watcher: w}
	if !v.arm() {
		t.Fatal("nothing is watched")
	}
	const changes = 20
	for n := range changes {
		if err := os.Mkdir(filepath.Join(heads, fmt.Sprint(n)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if !v.arm() {
		t.Error("what is new is not watched")
	}
	if v.arm() {
		t.Error("what was watched is new")
	}
	for range changes {
		if e := <-w.Events; filepath.Dir(e.Name) != heads {
			t.Fatalf("an event of %q", e.Name)
		}
	}
}
