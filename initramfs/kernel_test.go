package initramfs_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/tests/need"
)

func openTree(t *testing.T, layers ...[]entry) *rootfs.Tree {
	t.Helper()
	need.Programs(t, "tar2sqfs")
	var files []string
	for i, entries := range layers {
		file := filepath.Join(t.TempDir(), string(rune('a'+i))+".sqfs")
		squash(t, file, entries...)
		files = append(files, file)
	}
	tree, err := rootfs.OpenTree(files)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

// bzImage makes the head of an x86 kernel that says its version.
func bzImage(version string) string {
	b := make([]byte, 0x400)
	copy(b[0x202:], "HdrS")
	b[0x20e], b[0x20f] = 0x00, 0x01
	copy(b[0x300:], version+" (builder@host) #1")
	return string(b)
}

func TestKernels(t *testing.T) {
	tree := openTree(t,
		[]entry{{name: "boot/vmlinuz-6.1.0-9-amd64", data: "k"}, {name: "usr/lib/modules/6.1.0-9-amd64/modules.builtin"},
			{name: "boot/vmlinuz-6.1.0-7-amd64", data: "removed above"}},
		[]entry{{name: "lib", link: "usr/lib"}, {name: "boot/vmlinuz-6.1.0-7-amd64", whiteout: true},
			{name: "boot/vmlinuz-6.1.0-56-amd64", data: "k"}, {name: "usr/lib/modules/6.1.0-56-amd64/modules.builtin"},
			{name: "boot/vmlinuz-linux", data: bzImage("6.12.4-arch1-1")},
			{name: "usr/lib/modules/6.5.1-300.fc39.x86_64/vmlinuz", data: "k"},
			{name: "boot/vmlinuz-0-rescue-abc", data: "k"}, {name: "boot/.vmlinuz-6.5.1.hmac", data: "k"},
			{name: "boot/kernel-6.3.0-gentoo", data: "k"}, {name: "vmlinuz", link: "boot/vmlinuz-6.1.0-56-amd64"}})
	all, err := initramfs.Kernels(tree)
	if err != nil {
		t.Fatal(err)
	}
	want := []initramfs.Kernel{
		{Version: "6.12.4-arch1-1", Path: "/boot/vmlinuz-linux"},
		{Version: "6.5.1-300.fc39.x86_64", Path: "/usr/lib/modules/6.5.1-300.fc39.x86_64/vmlinuz"},
		{Version: "6.3.0-gentoo", Path: "/boot/kernel-6.3.0-gentoo"},
		{Version: "6.1.0-56-amd64", Path: "/boot/vmlinuz-6.1.0-56-amd64"},
		{Version: "6.1.0-9-amd64", Path: "/boot/vmlinuz-6.1.0-9-amd64"},
	}
	if d := cmp.Diff(want, all); d != "" {
		t.Error(d)
	}
	for pick, version := range map[string]string{"": "6.1.0-56-amd64", "6.12*": "6.12.4-arch1-1", "6.1.*": "6.1.0-56-amd64",
		"/boot/vmlinuz-6.1.0-9*": "6.1.0-9-amd64", "kernel-*": "6.3.0-gentoo"} {
		if k, err := initramfs.FindKernel(tree, pick); err != nil || k.Version != version {
			t.Errorf("pick %q gives %v, %v; want %s", pick, k, err, version)
		}
	}
	var none *initramfs.NoKernelError
	if _, err := initramfs.FindKernel(tree, "5.*"); !errors.As(err, &none) || !strings.Contains(err.Error(), "6.1.0-9-amd64") {
		t.Errorf("a pick that matches none: %v", err)
	}
	if _, err := initramfs.FindKernel(tree, "["); err == nil {
		t.Error("a bad pattern was taken")
	}
	empty := openTree(t, []entry{{name: "etc/os-release", data: "x"}})
	if _, err := initramfs.FindKernel(empty, ""); !errors.As(err, &none) || !strings.Contains(err.Error(), "/boot/vmlinuz") {
		t.Errorf("no kernel: %v", err)
	}
}

func modules(versions ...string) (list []entry) {
	for _, v := range versions {
		list = append(list, entry{name: "lib/modules/" + v + "/modules.builtin"})
	}
	return list
}

// A kernel is found wherever a distribution puts it, and one that has modules
// is taken before a higher one that has not.
func TestFindKernel(t *testing.T) {
	for name, c := range map[string]struct {
		image []entry
		want  initramfs.Kernel
	}{
		"a leftover in /boot": {append(modules("6.1.0-9"), entry{name: "boot/vmlinuz-6.1.0-9"}, entry{name: "boot/vmlinuz-6.5.0-1"}),
			initramfs.Kernel{Version: "6.1.0-9", Path: "/boot/vmlinuz-6.1.0-9"}},
		"a leftover among the modules": {append(modules("6.1.0-9"), entry{name: "boot/vmlinuz-6.1.0-9"}, entry{name: "boot/vmlinuz-6.5.0-1"},
			entry{name: "lib/modules/6.5.0-1/updates/dkms/x.ko"}),
			initramfs.Kernel{Version: "6.1.0-9", Path: "/boot/vmlinuz-6.1.0-9"}},
		"none has modules":    {[]entry{{name: "boot/vmlinuz-6.1.0-9"}, {name: "boot/vmlinuz-6.5.0-1"}}, initramfs.Kernel{Version: "6.5.0-1", Path: "/boot/vmlinuz-6.5.0-1"}},
		"vmlinux":             {append(modules("6.1.0-9"), entry{name: "boot/vmlinux-6.1.0-9"}), initramfs.Kernel{Version: "6.1.0-9", Path: "/boot/vmlinux-6.1.0-9"}},
		"vmlinux and vmlinuz": {append(modules("6.1.0-9"), entry{name: "boot/vmlinux-6.1.0-9"}, entry{name: "boot/vmlinuz-6.1.0-9"}), initramfs.Kernel{Version: "6.1.0-9", Path: "/boot/vmlinuz-6.1.0-9"}},
		"openSUSE on arm64":   {append(modules("6.4.0-150600-default"), entry{name: "boot/Image-6.4.0-150600-default"}), initramfs.Kernel{Version: "6.4.0-150600-default", Path: "/boot/Image-6.4.0-150600-default"}},
		"Arch on arm64":       {append(modules("6.9.1-1-aarch64-ARCH"), entry{name: "boot/Image"}, entry{name: "boot/Image.gz"}), initramfs.Kernel{Version: "6.9.1-1-aarch64-ARCH", Path: "/boot/Image"}},
		"beside its modules":  {append(modules("6.9.1"), entry{name: "lib/modules/6.9.1/vmlinuz.efi"}), initramfs.Kernel{Version: "6.9.1", Path: "/lib/modules/6.9.1/vmlinuz.efi"}},
		"by its flavour":      {append(modules("6.6.31-0-lts"), entry{name: "boot/vmlinuz-lts"}), initramfs.Kernel{Version: "6.6.31-0-lts", Path: "/boot/vmlinuz-lts"}},
		"of two flavours": {append(modules("6.6.31-0-lts", "6.6.31-0-virt"), entry{name: "boot/vmlinuz-lts"}, entry{name: "boot/vmlinuz-other"}),
			initramfs.Kernel{Version: "6.6.31-0-lts", Path: "/boot/vmlinuz-lts"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := initramfs.FindKernel(openTree(t, c.image), "")
			if err != nil || got != c.want {
				t.Errorf("%+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}
