package approval

import (
	"fmt"
	"os"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// However often a server makes other tags of a commit, few are kept, the last among
// them, whether or not they are in git's form.
func TestKept(t *testing.T) {
	kept := Of(t.TempDir(), plumbing.NewHash("8a1f2e3d4c5b6a79808182838485868788898a8b"))
	for i := range maxKept + 3 {
		raw := fmt.Appendf(nil, "tag %d", i)
		if err := kept.Keep(raw); err != nil {
			t.Fatal(err)
		}
		name := plumbing.ComputeHash(plumbing.TagObject, raw)
		if there, err := os.ReadDir(string(kept)); err != nil || len(there) > maxKept || !kept.Has(name) {
			t.Fatalf("after %d: %d are there, %v", i+1, len(there), err)
		}
	}
}
