package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/build/recipe"
)

// random is a step that writes so many megabytes, each time others.
func random(name, megabytes string) string {
	return "dd if=/dev/urandom of=/root/" + name + " bs=1M count=" + megabytes + " 2>/dev/null"
}

func TestBuildahCollects(t *testing.T) { testCollects(t, newEngine(t)) }

func TestPodmanCollects(t *testing.T) { testCollects(t, newPodman(t)) }

// The cache is bounded: what is kept stays, of the rest what was used last.
func testCollects(t *testing.T, e *Buildah) {
	base := busybox(t, e)
	steps := func(run ...string) Image {
		return must(t, e, recipe.Recipe{FS: repo(nil), Run: run}, Options{Base: base.ID})
	}
	kept := steps(random("common", "4"), random("kept", "4"))
	child := must(t, e, recipe.Recipe{FS: repo(nil), Run: []string{random("child", "1")}}, Options{Base: kept.ID})
	hit := steps(random("common", "4"), random("hit", "8"))
	old := steps(random("common", "4"), random("old", "8"))
	e.age(t)
	if again := steps(random("common", "4"), random("hit", "8")); again.ID != hit.ID {
		t.Error("the cache is not used")
	}
	recent := steps(random("common", "4"), random("recent", "8"))
	keep := []string{base.ID, kept.ID, child.ID}

	if freed, err := e.Collect(t.Context(), keep, 48<<20); freed != 0 || err != nil {
		t.Errorf("below the limit, %d bytes are freed: %v", freed, err)
	}
	before := diskUse(t, e.root)
	freed, err := e.Collect(t.Context(), keep, 30<<20)
	if err != nil || freed < 8<<20 || freed > 9<<20 {
		t.Errorf("%d bytes are freed: %v", freed, err)
	}
	if after := diskUse(t, e.root); after > before-8<<20 {
		t.Errorf("the store has %d bytes on the disk, and had %d", after, before)
	}
	present(t, e, map[string]Image{"base": base, "kept": kept, "child": child, "hit": hit, "recent": recent}, map[string]Image{"old": old})
	if again := steps(random("common", "4"), random("recent", "8")); again.ID != recent.ID {
		t.Error("what was kept of the cache is not used")
	}

	// Even if it is too much: what is needed stays, and what it is made of
	// still serves as cache.
	if _, err := e.Collect(t.Context(), keep, 1); err != nil {
		t.Error(err)
	}
	present(t, e, map[string]Image{"base": base, "kept": kept, "child": child}, map[string]Image{"hit": hit, "recent": recent})
	if again := steps(random("common", "4"), random("kept", "4")); again.ID != kept.ID {
		t.Error("what kept images are made of is not used any more")
	}
	if freed, err := e.Collect(t.Context(), keep, 1); freed != 0 || err != nil {
		t.Errorf("there is nothing left to free, but %d bytes are: %v", freed, err)
	}
	contents(t, child)
	if freed, err := e.Collect(t.Context(), nil, 0); freed == 0 || err != nil || len(view(t, e).images) != 0 {
		t.Errorf("nothing is kept, and %d images are left: %v", len(view(t, e).images), err)
	}
}

// age makes all that is in the store an hour older.
func (b *Buildah) age(t *testing.T) {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	for _, dir := range []string{filepath.Join(b.root, b.driver+"-images"), b.marks()} {
		found, err := filepath.Glob(filepath.Join(dir, strings.Repeat("?", 64)))
		if err != nil || len(found) == 0 {
			t.Fatal(err, "nothing to age in", dir)
		}
		for _, path := range found {
			if err := os.Chtimes(path, then, then); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func view(t *testing.T, b *Buildah) *cacheView {
	t.Helper()
	v, err := b.view()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func present(t *testing.T, e Engine, there, gone map[string]Image) {
	t.Helper()
	for name, img := range there {
		if _, err := e.Image(t.Context(), img.ID); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, img := range gone {
		if _, err := e.Image(t.Context(), img.ID); !errors.Is(err, ErrGone) {
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
