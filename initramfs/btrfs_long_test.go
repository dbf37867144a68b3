//go:build long

package initramfs_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/tests/need"
)

// loop gives a file a device.
func loop(t *testing.T, file string) string {
	t.Helper()
	device := strings.TrimSpace(run(t, exec.Command("losetup", "--find", "--show", file)))
	t.Cleanup(func() { _ = exec.Command("losetup", "--detach", device).Run() })
	return device
}

// A stage on a btrfs of two devices, of which neither has all, boots when both are
// there, and says so if one does not come.
func TestLongBootSeveralDevices(t *testing.T) {
	need.Root(t)
	need.Programs(t, "qemu-system-x86_64", "mke2fs", "tar2sqfs", "tar", "apt-get", "apt-cache", "dpkg-deb", "mkfs.btrfs", "losetup")
	s := makeStage(t, initramfs.Options{})
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	for _, file := range []string{one, two} {
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, 256<<20)); err != nil {
			t.Fatal(err)
		}
	}
	first, second, from, to := loop(t, one), loop(t, two), filepath.Join(dir, "from"), filepath.Join(dir, "to")
	run(t, exec.Command("mkfs.btrfs", "-q", "-d", "raid0", "-m", "raid1", "-U", stageUUID, first, second))
	if err := errors.Join(os.Mkdir(from, 0o755), os.Mkdir(to, 0o755)); err != nil {
		t.Fatal(err)
	}
	run(t, exec.Command("mount", "-o", "loop,ro", s.disk, from))
	run(t, exec.Command("mount", "-t", "btrfs", "-o", "device="+second, first, to))
	run(t, exec.Command("cp", "-a", from+"/.", to))
	run(t, exec.Command("umount", from, to))
	s.disk = one
	log := s.bootTyping(t, "", nil, "", "-drive", "file="+two+",if=virtio,format=raw")
	want(t, log, "T: root overlay\n", "T: stage btrfs ro\n", "T: stage has deployments\n", "T: end\n")
	log = s.bootTyping(t, "", nil, "gitboot.wait=3 gitboot.trying=1")
	want(t, log, "waiting 3s for the stage's device", "falls back")
	not(t, log, "T: root")
}
