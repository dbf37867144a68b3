package xfs

import (
	"os/exec"
	"testing"

	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/tree"
	"github.com/gitboot/gitboot/tests/treetest"
)

func lay(t *testing.T) treetest.Lay {
	return func(s tree.Filesystem, disk *piece.List, offset, length int64) error {
		return Lay(t.Context(), s, disk, offset, length)
	}
}

// What was made is whole for xfs_repair, and holds what it was made of; what is made
// again is the same.
func TestMake(t *testing.T) {
	s := treetest.Filesystem(t)
	disk := treetest.Make(t, s, lay(t))
	part := treetest.Part(t, disk)
	if out, err := exec.Command("xfs_repair", "-n", "-f", part).CombinedOutput(); err != nil {
		t.Errorf("xfs_repair: %v\n%s", err, out)
	}
	treetest.Holds(t, s, "xfs", part)
	if again := treetest.Make(t, s, lay(t)); treetest.Sum(t, disk) != treetest.Sum(t, again) {
		t.Error("made again it is another")
	}
}

// What mkfs.xfs cannot be told is an error, and so is what does not fit.
func TestMakeFails(t *testing.T) {
	var made piece.List
	defer made.Close()
	for _, s := range []tree.Filesystem{
		{Files: []tree.File{{Path: "/two words", Text: []byte("x")}}},
		{Files: []tree.File{{Path: "/large", Source: "/dev/null", Size: 1 << 40}}},
	} {
		s.UUID, s.Label = "01234567-89ab-8def-8123-456789abcdef", "stage"
		if err := Lay(t.Context(), s, &made, 0, 320<<20); err == nil {
			t.Errorf("%s is made", s.Files[0].Path)
		} else {
			t.Log(err)
		}
	}
}
