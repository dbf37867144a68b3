package enginetest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
)

// What follows is for engines whose store is that of
// github.com/containers/storage.

// StorageIsIdle looks whether builds have left nothing in an engine's folder but
// what steps keep for the next one, and whether that goes when there is no room
// for it.
func StorageIsIdle(t *testing.T, e engine.Engine, dir string) {
	t.Helper()
	if err := e.Clean(t.Context()); err != nil {
		t.Error(err)
	}
	noContainers(t, filepath.Join(dir, "store"))
	temp := filepath.Join(dir, "tmp")
	if freed, err := e.Collect(t.Context(), nil, 1<<40); freed != 0 || err != nil {
		t.Errorf("where there is room, %d bytes went: %v", freed, err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 1 || !strings.HasPrefix(left[0].Name(), "buildah-cache") {
		t.Errorf("files are left: %v %v", left, err)
	}
	if _, err := e.Collect(t.Context(), nil, 1); err != nil {
		t.Error(err)
	}
	Empty(t, temp)
}

// noContainers reads the store's list of containers.
func noContainers(t *testing.T, store string) {
	t.Helper()
	lists, err := filepath.Glob(filepath.Join(store, "*-containers", "containers.json"))
	if err != nil || len(lists) != 1 {
		t.Fatalf("the list of containers is %q, %v", lists, err)
	}
	var containers []struct{ ID string }
	data, err := os.ReadFile(lists[0])
	if err == nil {
		err = json.Unmarshal(data, &containers)
	}
	if err != nil || len(containers) > 0 {
		t.Errorf("containers are left: %v %v", containers, err)
	}
}

// Limits looks whether a step has the limits that this process has: an
// engine that raises them fails where it may not.
func Limits(t *testing.T, e engine.Engine) {
	var names = regexp.MustCompile(`(?m)^Max (?:processes|open files) .*$`)
	img := Built(t, e, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{"cat /proc/self/limits > /root/limits"}}, engine.Options{Base: Busybox(t, e).ID})
	got := names.FindAllString(Contents(t, img)["root/limits"].Content, -1)
	own, err := os.ReadFile("/proc/self/limits")
	if want := names.FindAllString(string(own), -1); err != nil || len(want) != 2 || !slices.Equal(got, want) {
		t.Errorf("a step's limits are %q, not %q (%v)", got, want, err)
	}
}
