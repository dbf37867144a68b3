package buildah

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Root is where the program has its store.
func (b *Engine) Root() string { return b.root }

// Before tells whether the program is older than a version.
func (b *Engine) Before(ctx context.Context, version [2]int) (bool, error) {
	return b.before(ctx, version[0], version[1])
}

// Images counts what is stored.
func (b *Engine) Images(t *testing.T) int {
	t.Helper()
	v, err := b.view()
	if err != nil {
		t.Fatal(err)
	}
	return len(v.images)
}

// Age makes all that is in the store an hour older.
func (b *Engine) Age(t *testing.T) {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	for _, dir := range []string{filepath.Join(b.root, b.driver+"-images"), b.used} {
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
