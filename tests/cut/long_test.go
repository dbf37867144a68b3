//go:build long

package cut

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

func TestLongPowerCut(t *testing.T) {
	l := newLife(t)
	l.older = buildOlder(t)
	cutPower(t, l, 100_000, 1)
}

func TestLongCutMachine(t *testing.T) { cutMachine(t, 5_000, 20) }

// before is the commit whose gitboot is the older one, as in tests/older.
const before = "61cfa53"

// buildOlder builds it. That takes the history, which a source package has not.
func buildOlder(t *testing.T) string {
	t.Helper()
	source, err := lab.SourceDir(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, args := range [][]string{
		{"sh", "-c", fmt.Sprintf("git -C '%s' archive %s | tar -xC '%s'", source, before, dir)},
		{"go", "-C", dir, "build", "-buildvcs=false", "-o", filepath.Join(dir, "gitboot"), "./cmd/gitboot"},
	} {
		if _, err := lab.Run(t.Context(), args[0], args[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	writeInit(t, dir)
	return filepath.Join(dir, "gitboot")
}
