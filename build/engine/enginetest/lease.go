package enginetest

import (
	"errors"
	"testing"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
)

// What somebody reads is removed when they have done, however long that takes,
// and nobody waits for them but who removes.
func testLease(t *testing.T, e Tested, base engine.Image) {
	read := Built(t, e, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{Random("read", "1")}}, engine.Options{Base: base.ID})
	release, err := engine.Reading(t.Context(), e.Dir)
	if err != nil {
		t.Fatal(err)
	}
	collected := make(chan error, 1)
	go func() {
		_, err := e.Collect(t.Context(), []string{base.ID}, 1)
		collected <- err
	}()
	Built(t, e, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{"echo meanwhile > /root/x"}}, engine.Options{Base: base.ID})
	Contents(t, read)
	if err := errors.Join(release(), <-collected); err != nil {
		t.Error(err)
	}
	if _, err := e.Image(t.Context(), read.ID); !errors.Is(err, engine.ErrGone) {
		t.Errorf("what nobody reads any more is still there: %v", err)
	}
}
