package lab

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// A kernel that GRUB loads from the disk's file system starts, whichever
// firmware started GRUB.
func TestDiskBootsThroughGRUB(t *testing.T) {
	RequireMachines(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	rootfs, err := RootFS(ctx, Bookworm)
	if err != nil {
		t.Fatal(err)
	}
	accel, err := Accelerator(ctx)
	if err != nil {
		t.Fatal(err)
	}
	disk, err := NewDisk(ctx, filepath.Join(t.TempDir(), "disk.img"), DiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { disk.Unmount() })
	mnt, err := disk.Mount(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := extractKernel(rootfs, filepath.Join(mnt, "vmlinuz")); err != nil {
		t.Fatal(err)
	}
	custom := "menuentry lab { linux /vmlinuz console=ttyS0 panic=30 lab.word=hello }\n"
	if err := os.WriteFile(filepath.Join(mnt, "boot/grub/custom.cfg"), []byte(custom), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := disk.Unmount(); err != nil {
		t.Fatal(err)
	}
	for _, firmware := range []Firmware{BIOS, UEFI} {
		t.Run(string(firmware), func(t *testing.T) {
			vm, err := StartVM(ctx, VMOptions{Disk: disk.Path, Firmware: firmware, Accel: accel, Snapshot: true})
			if err != nil {
				t.Fatal(err)
			}
			defer vm.Stop()
			m, err := vm.WaitFor(ctx, regexp.MustCompile(`Command line: .*lab\.word=hello`))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: the kernel started after %v", firmware, m.At)
		})
	}
}
