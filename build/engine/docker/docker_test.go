package docker

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/buildkit"
	"github.com/gitboot/gitboot/build/engine/enginetest"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

func TestDocker(t *testing.T) {
	need.Root(t)
	dir, err := os.MkdirTemp("", "docker-") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "sock")
	daemon, err := lab.StartDockerd(dir, socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(daemon.Stop(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	program, err := lab.Program(t.Context(), t.TempDir(), "gitboot-buildkit")
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(Options{Dir: t.TempDir(), Speaker: buildkit.Speaker(program), Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	enginetest.Run(t, enginetest.Tested{Engine: d, Dir: filepath.Dir(d.Dir), Folders: []string{d.Dir, dir}, Idle: func(t *testing.T) {
		names, err := d.tags(t.Context())
		if err != nil || len(names) == 0 || strings.Contains(strings.Join(names, " "), underWay) {
			t.Errorf("docker's store has %q (%v)", names, err)
		}
	}})
	t.Run("lost", func(t *testing.T) { testLostInDocker(t, d) })
}

// testLostInDocker takes away what docker's store holds of ours.
func testLostInDocker(t *testing.T, d *Engine) {
	parent := enginetest.Built(t, d, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{"echo parent > /root/p"}}, engine.Options{Base: enginetest.Busybox(t, d).ID})
	names, err := d.tags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := d.untag(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	child := enginetest.Built(t, d, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{"cat /root/p > /root/c"}}, engine.Options{Base: parent.ID})
	if n := len(parent.Layers); len(child.Layers) != n+1 || child.Layers[n-1].DiffID != parent.Layers[n-1].DiffID {
		t.Error("a base that was loaded again is not the same")
	}
	if _, err := d.Collect(t.Context(), []string{child.ID}, 1); err != nil {
		t.Error(err)
	}
	if names, err = d.tags(t.Context()); err != nil || len(names) != 1 || names[0] != d.name(child.ID) {
		t.Errorf("docker's store keeps %q (%v)", names, err)
	}
	enginetest.Contents(t, child)
}
