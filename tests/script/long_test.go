//go:build long

package script

import (
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

// TestLongScripts runs those that boot several machines.
func TestLongScripts(t *testing.T) {
	need.Root(t)
	runScripts(t, "testdata/long", t.TempDir())
}
