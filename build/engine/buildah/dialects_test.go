package buildah_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/buildah"
	"github.com/gitboot/gitboot/build/engine/enginetest"
	"github.com/gitboot/gitboot/build/engine/podman"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
	"github.com/gitboot/gitboot/tests/need"
)

// newBuildah opens buildah on a store of the test's own.
func newBuildah(t *testing.T) *buildah.Engine {
	t.Helper()
	need.Root(t)
	b, err := buildah.New(buildah.Options{Dir: t.TempDir(), RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	need.Done(t, b.Check(t.Context()))
	return b
}

// newPodman opens podman, likewise.
func newPodman(t *testing.T) *buildah.Engine {
	t.Helper()
	need.Root(t)
	run, err := os.MkdirTemp("/run", "gitboot-") // podman wants a path of 50 characters at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	b, err := podman.New(buildah.Options{Dir: t.TempDir(), RunDir: run})
	if err != nil {
		t.Fatal(err)
	}
	need.Done(t, b.Check(t.Context()))
	return b
}

func TestBuildah(t *testing.T) {
	need.Root(t)
	dir, run := t.TempDir(), t.TempDir()
	b, err := buildah.New(buildah.Options{Dir: dir, RunDir: run})
	if err != nil {
		t.Fatal(err)
	}
	need.Done(t, b.Check(t.Context()))
	enginetest.Run(t, enginetest.Tested{Engine: b, Dir: dir, Folders: []string{dir, run}, Idle: func(t *testing.T) {
		enginetest.StorageIsIdle(t, b, filepath.Join(dir, "buildah"))
	}})
	t.Run("limits", func(t *testing.T) { enginetest.Limits(t, b) })
}

// An engine that loses what is mounted over does not pass for one that has
// built, whether it complains or not.
func TestLostMounts(t *testing.T) {
	for _, e := range []*buildah.Engine{newBuildah(t), newPodman(t)} {
		base := enginetest.Busybox(t, e)
		old, err := e.Before(t.Context(), e.Mounts)
		if err != nil {
			t.Fatal(err)
		}
		e.Mounts = [2]int{} // nothing is prevented
		for _, mount := range []string{"type=cache,target=/root", "type=tmpfs,target=/tmp", "type=bind,source=d,target=/etc/resolv.conf.d/../../root"} {
			img, log, err := enginetest.Build(t, e, recipe.Recipe{
				FS:             recipetest.Repo(map[string]string{"d/x": "x", "f": "FROM $GITBOOT_FROM\nRUN echo kept > /root/kept; echo kept > /tmp/kept\nRUN --mount=" + mount + " true\nRUN echo last\n"}),
				Containerfiles: []string{"f"},
			}, engine.Options{Base: base.ID})
			if lost := (*buildah.LostMountError)(nil); old {
				if !errors.As(err, &lost) {
					t.Errorf("%s, %s: %v\n%s", e.Program, mount, err, log)
				}
			} else if err != nil || enginetest.Contents(t, img)["tmp/kept"].Content == "" {
				t.Errorf("%s, %s: %v\n%s", e.Program, mount, err, log)
			}
		}
	}
}

// An engine that takes a heredoc's lines for instructions is not asked to.
func TestHeredocs(t *testing.T) {
	for _, e := range []*buildah.Engine{newBuildah(t), newPodman(t)} {
		old, err := e.Before(t.Context(), e.Heredocs)
		if err != nil {
			t.Fatal(err)
		}
		r := recipe.Recipe{FS: recipetest.Repo(map[string]string{"f": "FROM $GITBOOT_FROM\nRUN <<END\necho here > /root/here\nEND\n"}), Containerfiles: []string{"f"}}
		img, log, err := enginetest.Build(t, e, r, engine.Options{Base: enginetest.Busybox(t, e).ID})
		if old {
			if err == nil || !strings.Contains(err.Error(), `"RUN <<END": `+e.Program+" knows heredocs from version") {
				t.Errorf("%s: %v", e.Program, err)
			}
		} else if err != nil || enginetest.Contents(t, img)["root/here"].Content != "here\n" {
			t.Errorf("%s: %v\n%s", e.Program, err, log)
		}
	}
}

// Where overlayfs cannot be mounted, because of what a folder is called, that is told
// before anything is built.
func TestComma(t *testing.T) {
	_, err := buildah.New(buildah.Options{Dir: filepath.Join(t.TempDir(), "a,b")})
	if err == nil || !strings.Contains(err.Error(), "name another folder with build_dir") {
		t.Error(err)
	}
}
