//go:build long

package diskboot

import (
	"path/filepath"
	"testing"
)

// A stage on XFS boots, with GRUB's folder on a partition of its own, counts its boots,
// and is the same each time.
func TestLongDiskXFS(t *testing.T) {
	s := newSiteWith(t, `  { role = "bios" },
  { role = "esp", size = "40MB" },
  { role = "boot", size = "70MB" },
  { role = "data", filesystem = "xfs", size = "340MB" },
  { role = "stage", filesystem = "xfs", size = "400MB" },
`, "xfs")
	m, first := s.image(t, "a.img", "--size", "1GB", "--stage", filepath.Join(s.dir, "stage"))
	if _, again := s.image(t, "b.img", "--size", "1GB"); first != again {
		t.Errorf("made again, without the stage, it is another: %s", s.differ("a.img", "b.img"))
	}
	for _, firmware := range []string{"bios", "uefi"} {
		s.boots(t, "a.img", firmware, "--keep", "a.img")
	}
	for _, p := range m.Partitions {
		if p.Role != "stage" {
			continue
		}
		part := s.part(t, filepath.Join(s.dir, "a.img"), p.Start, p.Size)
		dir := t.TempDir()
		s.run(t, "", "mount", "-o", "loop", part, dir) // which has the journal done
		s.run(t, "gitboot_left=1\n", "cat", filepath.Join(dir, "gitboot/boot/gitboot.env"))
		s.run(t, "", "umount", dir)
		s.run(t, "", "xfs_repair", "-n", "-f", part)
	}
}
