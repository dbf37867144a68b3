package buildah

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/enginetest"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
	"github.com/gitboot/gitboot/tests/need"
)

// The store lists an image before its configuration is there. One that another
// build is just making is none of this one's business.
func TestLostSeesAnotherBuildsImage(t *testing.T) {
	need.Root(t)
	e, err := New(Options{Dir: t.TempDir(), RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	need.Done(t, e.Check(t.Context()))
	begun := time.Now()
	img := enginetest.Built(t, e, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{"echo x > /root/x"}}, engine.Options{Base: enginetest.Busybox(t, e).ID})
	id := strings.TrimPrefix(img.ID, "sha256:")
	if err := os.RemoveAll(filepath.Join(e.root, e.driver+"-images", id)); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Image(t.Context(), img.ID); !errors.Is(err, engine.ErrGone) {
		t.Fatal(err)
	}
	if err := e.lost(map[string]bool{id: true}, nil, begun); err != nil {
		t.Error(err)
	}
}

func TestShield(t *testing.T) {
	const text = "FROM a\n" +
		"RUN --mount=type=cache,target=/var/cache/x \\\n  --mount=dst=/data/,type=tmpfs true\n" +
		"RUN --mount=type=bind,source=.gitboot/r,target=/run/gitboot-recipe --mount=type=secret,id=x true\n" +
		"run --mount=type=cache,id=y,target=/y --network=none y\n"
	got, links, err := shield(text)
	if err != nil {
		t.Fatal(err)
	}
	at := func(target string) string {
		link, at := linkFor(target)
		if links[link] != target {
			t.Errorf("%s leads to %q, not %q", link, links[link], target)
		}
		return at
	}
	want := "FROM a\n" +
		"RUN --mount=type=bind,source=.gitboot/mounts,target=/run/gitboot-mounts --mount=type=cache,target=" + at("/var/cache/x") + ",id=/var/cache/x \\\n  --mount=target=" + at("/data") + ",type=tmpfs true\n" +
		"RUN --mount=type=bind,source=.gitboot/r,target=/run/gitboot-recipe --mount=type=secret,id=x true\n" +
		"run --mount=type=bind,source=.gitboot/mounts,target=/run/gitboot-mounts --mount=type=cache,id=y,target=" + at("/y") + " --network=none y\n"
	if got != want || len(links) != 3 {
		t.Errorf("%s\nis not\n%s", got, want)
	}
	for _, mount := range []string{"type=cache,target=$X", "type=cache,target=x/y"} {
		if _, _, err := shield("FROM a\nRUN --mount=" + mount + " true\n"); err == nil || !strings.HasPrefix(err.Error(), "line 2: target=") {
			t.Errorf("%s: %v", mount, err)
		}
	}
}
