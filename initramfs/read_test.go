package initramfs_test

import (
	"errors"
	"io/fs"
	"slices"
	"testing"
)

// Readers of other files than kernels see the union too, and no more than they
// ask for.
func TestTreeReads(t *testing.T) {
	tree := openTree(t,
		[]entry{{name: "var/lib/db/a", data: "lower"}, {name: "var/lib/db/gone", data: "x"}},
		[]entry{{name: "var/lib/db/b", data: "upper"}, {name: "var/lib/db/gone", whiteout: true}, {name: "db", link: "/var/lib/db"}})
	if names, err := tree.ReadDir("/db"); err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("%q, %v", names, err)
	}
	if names, err := tree.ReadDir("nowhere"); err != nil || names != nil {
		t.Errorf("%q, %v", names, err)
	}
	if data, err := tree.ReadFile("/db/a", 5); err != nil || string(data) != "lower" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := tree.ReadFile("db/a", 4); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file larger than asked for: %v", err)
	}
	if _, err := tree.ReadFile("db/gone", 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a removed file: %v", err)
	}
	if _, err := tree.ReadFile("var", 5); err == nil {
		t.Error("a folder was read as a file")
	}
}
