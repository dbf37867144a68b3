package vm

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

const busyboxConfig = `[image.small]
archive     = "ARCHIVE"
kernel_args = ["console=ttyS0", "loglevel=5", "no_timer_check"]

[machine.small]
images = ["small"]
hooks  = ["hostname"]
boot   = { mode = "managed" }
`

// busyboxStart is the only thing that this system does.
const busyboxStart = `#!/bin/sh
exec >/dev/console
while read -r source path type rest; do
	[ "$path" = / ] && root=$type
done </proc/mounts
read -r options </proc/cmdline
echo "lab: $options"
echo "lab: $(readlink /proc/1/exe) started $(cat /etc/hostname) on $root"
poweroff
`

// The smallest system that one could want: one program, and busybox's own
// init, which also shuts it down. GRUB cannot read its stage, and finds the
// kernel and the initramfs on /boot.
func TestBusyboxInit(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.busyboxTar(t, archive, busyboxStart)
	if err := s.repo.Write("gitboot.toml", strings.Replace(busyboxConfig, "ARCHIVE", archive, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.repo.Commit(s.ctx, "Begin small"); err != nil {
		t.Fatal(err)
	}
	disk := s.disk(t, lab.DiskOptions{OtherSystem: true, BootApart: true})
	s.run(t, disk, "small", "reconcile", "--once")
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, Snapshot: true})
	ctx, cancel := context.WithTimeout(s.ctx, bootLimit)
	defer cancel()
	for _, line := range []string{`lab: BOOT_IMAGE=/grub/gitboot/[0-9a-f]{64} `, `lab: /bin/busybox started small on overlay`, `Power down`} {
		m, err := vm.WaitFor(ctx, regexp.MustCompile(line))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%.1f s: %s", m.At.Seconds(), m.Groups[0])
	}
}

// busyboxTar writes a root file system of busybox, with Debian's kernel, that
// runs start when it is up.
func (s *site) busyboxTar(t *testing.T, path, start string) {
	t.Helper()
	if err := lab.Small(s.ctx, path, start); err != nil {
		t.Fatal(err)
	}
}
