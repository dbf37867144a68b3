package vm

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"
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
	rootfs, err := lab.RootFS(s.ctx, lab.Bookworm)
	if err != nil {
		t.Fatal(err)
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("%v; install busybox-static", err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for _, e := range []entry{
		{tar.Header{Name: "bin/busybox", Mode: 0o755}, string(busybox)},
		{tar.Header{Name: "bin/sh", Typeflag: tar.TypeSymlink, Linkname: "busybox"}, ""},
		{tar.Header{Name: "sbin/init", Typeflag: tar.TypeSymlink, Linkname: "../bin/busybox"}, ""},
		{tar.Header{Name: "lib", Typeflag: tar.TypeSymlink, Linkname: "usr/lib"}, ""},
		{tar.Header{Name: "etc/inittab", Mode: 0o644}, "::sysinit:/etc/rc\n"},
		{tar.Header{Name: "etc/rc", Mode: 0o755}, start},
	} {
		e.Size = int64(len(e.content))
		if err := errors.Join(w.WriteHeader(&e.Header), writeString(w, e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(copyKernel(w, rootfs), w.Close()); err != nil {
		t.Fatal(err)
	}
}

func writeString(w io.Writer, s string) error {
	_, err := io.WriteString(w, s)
	return err
}

// smallModules are what the small system's kernel needs on a virtual disk.
var smallModules = regexp.MustCompile(`/kernel/(drivers/(block|virtio)|fs/(ext4|jbd2|overlayfs|squashfs)|lib|crypto)/|/mbcache.ko`)

// smallKernel says whether the small system has a file of Debian's.
func smallKernel(name string) bool {
	switch {
	case strings.HasPrefix(name, "boot/vmlinuz-"), strings.HasPrefix(name, "boot/config-"):
		return true
	case strings.HasPrefix(name, "usr/lib/modules/"):
		return !strings.HasSuffix(name, ".ko") || smallModules.MatchString(name)
	}
	return false
}

// copyKernel copies a root file system's kernel and few of its modules.
func copyKernel(w *tar.Writer, rootfs string) error {
	f, err := os.Open(rootfs)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		hdr, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(hdr.Name, "./")
		if !smallKernel(name) {
			continue
		}
		if err := w.WriteHeader(hdr); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
}
