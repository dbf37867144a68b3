package record

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

// On a full disk, what cannot be written anew is forgotten: making room needs none.
func TestDropOnAFullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "full")
	need.Filesystem(t, dir, 1<<20, "defaults", "mkfs.ext4", "-q", "-m", "0")
	path := filepath.Join(dir, "one.json")
	if err := Write(path, Kernel{Version: "6.1"}); err != nil {
		t.Fatal(err)
	}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = filler.Write(make([]byte, 512))
	}
	if err := filler.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "two.json"), Kernel{}); err == nil {
		t.Fatal("the disk is not full")
	}
	if err := Drop(dir, func(*Kernel) (left, changed bool) { return true, true }); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the record that could not be written is there: %v", err)
	}
}
