package reconciler

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/stage"
)

// What a revision wants is remembered by the first run that has to find it out, if only
// that: the run after it reads it, and writes nothing.
func TestRememberedByARunThatDoesNothing(t *testing.T) {
	s := newSite(t, archived)
	file := filepath.Join(s.Machine.Stage.Dir(), stage.WantsFile)
	run := func(staged int) os.FileInfo {
		t.Helper()
		result, err := s.Run(t.Context(), Request{Trigger: "test"})
		if err != nil || len(result.Plan.Stagings) != staged {
			t.Fatalf("%+v, %v", result, err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	run(1)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if found, again := run(0), run(0); !os.SameFile(found, again) {
		t.Error("it is written again")
	}
}
