package diskboot

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A stage on btrfs, on which GRUB cannot write, boots, and each boot of it is counted
// on UEFI's partition; who makes it needs no rights, and what is made is root's.
func TestDiskBtrfs(t *testing.T) {
	s := newSiteWith(t, `  { role = "bios" },
  { role = "esp", size = "40MB" },
  { role = "stage", filesystem = "btrfs" },
`, "btrfs")
	m, _ := s.image(t, "a.img")
	s.boots(t, "a.img", "uefi", "--keep", "a.img")
	disk := filepath.Join(s.dir, "a.img")
	for _, p := range m.Partitions {
		at := strconv.FormatInt(p.Start, 10)
		switch p.Role {
		case "esp":
			s.run(t, "gitboot_left=2\n", "mtype", "-i", disk+"@@"+at, "::/grub/gitboot/gitboot.env")
		case "stage":
			part := s.part(t, disk, p.Start, p.Size)
			s.run(t, "no error found", "btrfs", "check", "--check-data-csum", part)
			if out, err := exec.CommandContext(s.ctx, "btrfs", "inspect-internal", "dump-tree", "-t", "5", part).Output(); err != nil || strings.Contains(string(out), "uid "+strconv.Itoa(nobody)) {
				t.Errorf("some of it is not root's: %v", err)
			}
		}
	}
}

// part has a partition alone in a file.
func (s *site) part(t *testing.T, disk string, start, size int64) string {
	t.Helper()
	part := filepath.Join(s.dir, "part")
	_ = os.Remove(part)
	s.run(t, "", "dd", "if="+disk, "of="+part, "bs=1M", "skip="+strconv.FormatInt(start>>20, 10), "count="+strconv.FormatInt(size>>20, 10), "conv=sparse", "status=none")
	return part
}
