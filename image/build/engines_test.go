package build

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/image/build/buildkit/handoff"
)

func requireContainers(t *testing.T) {
	t.Helper()
	if testing.Short() || os.Geteuid() != 0 {
		t.Skip("runs containers: needs root, and is not run with -short")
	}
}

// newEngine opens buildah on a store of the test's own.
func newEngine(t *testing.T) *Buildah {
	t.Helper()
	requireContainers(t)
	b, err := NewBuildah(BuildahOptions{Dir: t.TempDir(), RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Skip(err, "; run tests/deps.sh test")
	}
	return b
}

func TestBuildah(t *testing.T) {
	b := newEngine(t)
	contract(t, tested{Engine: b, folders: []string{b.root, b.temp, b.runRoot}, idle: func(t *testing.T) {
		if out, err := b.output(t.Context(), b.temp, "containers", "--quiet"); err != nil || out != "" {
			t.Errorf("containers are left: %s %v", out, err)
		}
		empty(t, b.temp)
	}})
}

func TestBuildkit(t *testing.T) {
	requireContainers(t)
	dir := t.TempDir()
	address := "unix://" + filepath.Join(dir, "sock")
	startBuildkitd(t, dir, []string{address})
	b := newBuildkit(t, handoff.Builder{Address: address})
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	contract(t, tested{Engine: b, folders: []string{b.dir, dir}, idle: func(t *testing.T) {
		empty(t, filepath.Join(b.dir, handoff.IngestFolder))
	}})
}

func empty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v %v", left, err)
	}
}
