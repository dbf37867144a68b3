package btrfs

import (
	"os"
	"os/exec"
	"testing"

	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/tree"
	"github.com/gitboot/gitboot/tests/treetest"
)

// What was made is whole for btrfs check, and holds what it was made of, whoever has
// made it.
func TestMake(t *testing.T) {
	s := treetest.Filesystem(t)
	temp := t.TempDir()
	disk := treetest.Make(t, s, func(s tree.Filesystem, disk *piece.List, offset, length int64) error {
		return Lay(t.Context(), s, disk, offset, length, temp)
	})
	part := treetest.Part(t, disk)
	if out, err := exec.Command("btrfs", "check", "--check-data-csum", part).CombinedOutput(); err != nil {
		t.Errorf("btrfs check: %v\n%s", err, out)
	}
	treetest.Holds(t, s, "btrfs", part)
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
