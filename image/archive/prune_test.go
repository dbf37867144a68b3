package archive

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	wanted, other, coming := strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("c", 64)
	for _, name := range []string{wanted, wanted + ".part", other, other + ".part", coming + ".part"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	held, err := lockPart(t.Context(), filepath.Join(dir, coming+".part"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if freed, err := Prune(dir, []string{wanted}); err != nil || freed != 10 {
		t.Errorf("freed %d, %v", freed, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{wanted, wanted + ".part", coming + ".part"}; !slices.Equal(left, want) {
		t.Errorf("left are %v", left)
	}
	if freed, err := Prune(filepath.Join(dir, "none"), nil); err != nil || freed != 0 {
		t.Errorf("of no folder %d, %v", freed, err)
	}
}
