package buildah_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/buildah"
	"github.com/gitboot/gitboot/build/engine/enginetest"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
)

func TestBuildahCollects(t *testing.T) { testCollects(t, newBuildah(t)) }

func TestPodmanCollects(t *testing.T) { testCollects(t, newPodman(t)) }

// The cache is bounded: what is kept stays, of the rest what was used last.
func testCollects(t *testing.T, e *buildah.Engine) {
	base := enginetest.Busybox(t, e)
	steps := func(run ...string) engine.Image {
		return enginetest.Built(t, e, recipe.Recipe{FS: recipetest.Repo(nil), Run: run}, engine.Options{Base: base.ID})
	}
	kept := steps(enginetest.Random("common", "4"), enginetest.Random("kept", "4"))
	child := enginetest.Built(t, e, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{enginetest.Random("child", "1")}}, engine.Options{Base: kept.ID})
	hit := steps(enginetest.Random("common", "4"), enginetest.Random("hit", "8"))
	old := steps(enginetest.Random("common", "4"), enginetest.Random("old", "8"))
	e.Age(t)
	if again := steps(enginetest.Random("common", "4"), enginetest.Random("hit", "8")); again.ID != hit.ID {
		t.Error("the cache is not used")
	}
	recent := steps(enginetest.Random("common", "4"), enginetest.Random("recent", "8"))
	keep := []string{base.ID, kept.ID, child.ID}

	if freed, err := e.Collect(t.Context(), keep, 48<<20); freed != 0 || err != nil {
		t.Errorf("below the limit, %d bytes are freed: %v", freed, err)
	}
	before := diskUse(t, e.Root())
	freed, err := e.Collect(t.Context(), keep, 30<<20)
	if err != nil || freed < 8<<20 || freed > 9<<20 {
		t.Errorf("%d bytes are freed: %v", freed, err)
	}
	if after := diskUse(t, e.Root()); after > before-8<<20 {
		t.Errorf("the store has %d bytes on the disk, and had %d", after, before)
	}
	present(t, e, map[string]engine.Image{"base": base, "kept": kept, "child": child, "hit": hit, "recent": recent}, map[string]engine.Image{"old": old})
	if again := steps(enginetest.Random("common", "4"), enginetest.Random("recent", "8")); again.ID != recent.ID {
		t.Error("what was kept of the cache is not used")
	}

	// Even if it is too much: what is needed stays, and what it is made of
	// still serves as cache.
	if _, err := e.Collect(t.Context(), keep, 1); err != nil {
		t.Error(err)
	}
	present(t, e, map[string]engine.Image{"base": base, "kept": kept, "child": child}, map[string]engine.Image{"hit": hit, "recent": recent})
	if again := steps(enginetest.Random("common", "4"), enginetest.Random("kept", "4")); again.ID != kept.ID {
		t.Error("what kept images are made of is not used any more")
	}
	if freed, err := e.Collect(t.Context(), keep, 1); freed != 0 || err != nil {
		t.Errorf("there is nothing left to free, but %d bytes are: %v", freed, err)
	}
	enginetest.Contents(t, child)
	if freed, err := e.Collect(t.Context(), nil, 0); freed == 0 || err != nil || e.Images(t) != 0 {
		t.Errorf("nothing is kept, and %d images are left: %v", e.Images(t), err)
	}
}

func present(t *testing.T, e engine.Engine, there, gone map[string]engine.Image) {
	t.Helper()
	for name, img := range there {
		if _, err := e.Image(t.Context(), img.ID); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, img := range gone {
		if _, err := e.Image(t.Context(), img.ID); !errors.Is(err, engine.ErrGone) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}

func diskUse(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
