package initramfs_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/tests/need"
)

// A distribution is a root file system laid out as its packages lay it out: the kernel's
// file, its modules' folder and how they are packed, and what leads to the init.
type distribution struct {
	version, kernel, modules, suffix string
	pack                             func(*testing.T, string) string
	rest                             []entry
	init                             string
}

var systemd = entry{name: "usr/lib/systemd/systemd", data: "init", mode: 0o755}

var distributions = map[string]distribution{
	"Debian": {"6.1.0-32-amd64", "boot/vmlinuz-6.1.0-32-amd64", "usr/lib/modules/", "", nil,
		[]entry{{name: "lib", link: "usr/lib"}, {name: "sbin", link: "usr/sbin"}, {name: "usr/sbin/init", link: "../lib/systemd/systemd"}, systemd}, "/sbin/init"},
	"Ubuntu": {"6.8.0-57-generic", "boot/vmlinuz-6.8.0-57-generic", "usr/lib/modules/", ".zst", zstdip,
		[]entry{{name: "lib", link: "usr/lib"}, {name: "sbin", link: "usr/sbin"}, {name: "usr/sbin/init", link: "../lib/systemd/systemd"}, {name: "boot/vmlinuz", link: "vmlinuz-6.8.0-57-generic"}, systemd}, "/sbin/init"},
	"Fedora": {"6.14.2-300.fc42.x86_64", "usr/lib/modules/6.14.2-300.fc42.x86_64/vmlinuz", "usr/lib/modules/", ".xz", xzip,
		[]entry{{name: "lib", link: "usr/lib"}, {name: "sbin", link: "usr/sbin"}, {name: "usr/sbin", link: "bin"}, {name: "usr/bin/init", link: "../lib/systemd/systemd"}, systemd}, "/sbin/init"},
	"Arch": {"6.14.2-arch1-1", "usr/lib/modules/6.14.2-arch1-1/vmlinuz", "usr/lib/modules/", ".zst", zstdip,
		[]entry{{name: "lib", link: "usr/lib"}, {name: "sbin", link: "usr/bin"}, {name: "usr/lib/modules/6.14.2-arch1-1/pkgbase", data: "linux\n"}, {name: "usr/bin/init", link: "../lib/systemd/systemd"}, systemd}, "/sbin/init"},
	"openSUSE": {"6.14.1-1-default", "usr/lib/modules/6.14.1-1-default/vmlinuz", "usr/lib/modules/", ".zst", zstdip,
		[]entry{{name: "lib", link: "usr/lib"}, {name: "sbin", link: "usr/sbin"}, {name: "boot/vmlinuz-6.14.1-1-default", link: "../usr/lib/modules/6.14.1-1-default/vmlinuz"}, {name: "usr/sbin/init", link: "../lib/systemd/systemd"}, systemd}, "/sbin/init"},
	"Alpine": {"6.12.13-0-lts", "boot/vmlinuz-lts", "lib/modules/", ".gz", gzipped,
		[]entry{{name: "bin/busybox", data: "busybox", mode: 0o755}, {name: "sbin/init", link: "/bin/busybox"}, {name: "etc/inittab", data: "::sysinit:/sbin/openrc sysinit\n"}}, "/sbin/init"},
	"Void": {"6.6.47_1", "boot/vmlinuz-6.6.47_1", "usr/lib/modules/", ".zst", zstdip,
		[]entry{{name: "lib", link: "usr/lib"}, {name: "sbin", link: "usr/bin"}, {name: "usr/bin/init", link: "runit-init"}, {name: "usr/bin/runit-init", data: "runit", mode: 0o755}}, "/sbin/init"},
	"s6-linux-init": {"6.1.1", "boot/vmlinuz-6.1.1", "lib/modules/", "", nil,
		[]entry{{name: "sbin/init", data: "#!/bin/execlineb -S0\n", mode: 0o755}}, "/sbin/init"},
}

// Of each the kernel is found with its modules, however they are packed, and the init.
func TestDistributions(t *testing.T) {
	need.Programs(t, "cpio")
	for name, d := range distributions {
		t.Run(name, func(t *testing.T) {
			if d.pack == nil {
				d.pack = func(_ *testing.T, s string) string { return s }
			}
			dir := d.modules + d.version + "/"
			files := append([]entry{
				{name: d.kernel, data: bzImage(d.version)}, {name: dir + "modules.builtin", data: "kernel/drivers/block/loop.ko\nkernel/fs/overlayfs/overlay.ko\n"},
				{name: dir + "kernel/fs/squashfs/squashfs.ko" + d.suffix, data: d.pack(t, ko([]string{"zstd_decompress_stream"}))},
				{name: dir + "kernel/drivers/nvme/host/nvme.ko" + d.suffix, data: d.pack(t, ko([]string{"nvme_init_ctrl"}, "alias=pci:v*d*sv*sd*bc01sc08i02*"))},
			}, d.rest...)
			tree := openTree(t, files)
			k, err := initramfs.FindKernel(tree, "")
			if err != nil || k.Version != d.version || k.Path != "/"+d.kernel {
				t.Fatalf("the kernel is %+v, %v", k, err)
			}
			if init, err := initramfs.FindInit(tree, nil); err != nil || init != d.init {
				t.Errorf("the init is %q, %v", init, err)
			}
			packed, _, err := build(t, tree, initramfs.Options{})
			if err != nil {
				t.Fatal(err)
			}
			list := exec.Command("cpio", "-it", "--quiet")
			list.Stdin = bytes.NewReader(unzstd(t, packed))
			got := run(t, list)
			for _, module := range []string{"kernel/fs/squashfs/squashfs.ko", "kernel/drivers/nvme/host/nvme.ko"} {
				if !strings.Contains(got, "lib/modules/"+d.version+"/"+module+"\n") {
					t.Errorf("%s is not there: %q", module, got)
				}
			}
		})
	}
}
