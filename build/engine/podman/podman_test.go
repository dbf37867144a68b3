package podman

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/build/engine/buildah"
	"github.com/gitboot/gitboot/build/engine/enginetest"
	"github.com/gitboot/gitboot/tests/need"
)

func TestPodman(t *testing.T) {
	need.Root(t)
	run, err := os.MkdirTemp("/run", "gitboot-") // podman wants a path of 50 characters at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	dir := t.TempDir()
	b, err := New(buildah.Options{Dir: dir, RunDir: run})
	if err != nil {
		t.Fatal(err)
	}
	need.Done(t, b.Check(t.Context()))
	enginetest.Run(t, enginetest.Tested{Engine: b, Dir: dir, Folders: []string{dir, run}, Idle: func(t *testing.T) {
		enginetest.StorageIsIdle(t, b, filepath.Join(dir, "podman"))
	}})
	t.Run("limits", func(t *testing.T) { enginetest.Limits(t, b) })
}
