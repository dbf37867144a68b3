package lab

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What every disk's grub.cfg says, the terminal and the time apart, is said by the one that
// an installed Debian's update-grub wrote, in the same order.
func TestGrubCfg(t *testing.T) {
	RequireMachines(t)
	disk, err := NewDebian(t.Context(), filepath.Join(t.TempDir(), "debian.img"))
	if err != nil {
		t.Fatal(err)
	}
	mnt, err := disk.Mount(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(mnt, "boot/grub/grub.cfg"))
	if err := disk.Unmount(); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	real := strings.Split(string(data), "\n")
	ours := strings.NewReplacer(grubTerminal, "", "timeout=0", "timeout=1").Replace(grubCfg(false))
	for line := range strings.Lines(ours) {
		line = strings.TrimSuffix(line, "\n")
		at := slices.Index(real, line)
		if at < 0 {
			t.Fatalf("Debian's grub.cfg does not go on with the line %q", line)
		}
		real = real[at+1:]
	}
}
