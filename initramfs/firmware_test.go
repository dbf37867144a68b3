package initramfs_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/tests/need"
)

// What mends processors comes first, not compressed, where the kernel looks for it; all
// else follows as it does without.
func TestMicrocode(t *testing.T) {
	need.Programs(t, "cpio")
	with := []entry{
		{name: "usr/lib/firmware/intel-ucode/06-8e-0a", data: "second"},
		{name: "usr/lib/firmware/intel-ucode/06-8e-09", data: "first "},
		{name: "usr/lib/firmware/intel-ucode/list", data: "text"},
		{name: "usr/lib/firmware/amd-ucode/microcode_amd_fam17h.bin.xz", data: xzip(t, "17h")},
		{name: "usr/lib/firmware/amd-ucode/microcode_amd.bin", data: "old "},
		{name: "usr/lib/firmware/amd-ucode/microcode_amd.bin.asc", data: "signature"},
	}
	plain, _, err := build(t, openTree(t, image(t)), initramfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	packed, stats, err := build(t, openTree(t, image(t, with...)), initramfs.Options{})
	if err != nil || stats.Bytes != int64(len(packed)) {
		t.Fatal(stats, err)
	}
	at := bytes.Index(packed, plain)
	if at < 0 || at%4 != 0 || at+len(plain) != len(packed) {
		t.Fatalf("what follows is not what there is without: at %d of %d", at, len(packed))
	}
	dir := t.TempDir()
	cmd := exec.Command("cpio", "-idm", "--quiet")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(packed[:at])
	run(t, cmd)
	for file, want := range map[string]string{"GenuineIntel.bin": "first second", "AuthenticAMD.bin": "old 17h"} {
		if got := read(t, filepath.Join(dir, "kernel/x86/microcode", file)); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
	broken := entry{name: "usr/lib/firmware/intel-ucode/06-8e-0b.xz", data: "\xfd7zXZ\x00"}
	if _, _, err := build(t, openTree(t, image(t, broken)), initramfs.Options{}); err == nil || !strings.Contains(err.Error(), "06-8e-0b.xz") {
		t.Errorf("what cannot be expanded: %v", err)
	}
}

// An image's microcode decides its initramfs, and that it has none changes nothing.
func TestMicrocodeIsKeyed(t *testing.T) {
	init := filepath.Join(t.TempDir(), "init")
	writeFile(t, init, []byte("one"))
	key := func(more ...[]entry) string {
		t.Helper()
		tree := openTree(t, append([][]entry{image(t)}, more...)...)
		k, err := initramfs.FindKernel(tree, "")
		if err != nil {
			t.Fatal(err)
		}
		out, err := initramfs.Key(tree, k, initramfs.Options{Init: init})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	without := key([]entry{{name: "etc/x"}})
	if without != key([]entry{{name: "etc/y"}}) {
		t.Error("another file decides the initramfs")
	}
	if without == key([]entry{{name: "usr/lib/firmware/amd-ucode/microcode_amd.bin", data: "x"}}) {
		t.Error("microcode does not decide the initramfs")
	}
}

// A driver of disks that needs firmware is carried with it, where the image has some of
// it, as the kernel reads it; without, it is left out, as its firmware is.
func TestFirmware(t *testing.T) {
	need.Programs(t, "cpio")
	files := func(more ...entry) []string {
		t.Helper()
		packed, _, err := build(t, openTree(t, image(t, more...)), initramfs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		list := exec.Command("cpio", "-it", "--quiet")
		list.Stdin = bytes.NewReader(unzstd(t, packed))
		return strings.Fields(run(t, list))
	}
	driver := "lib/modules/" + version + "/kernel/drivers/scsi/blob.ko"
	without := files(entry{name: "usr/lib/firmware/other.bin", data: "other"})
	if slices.Contains(without, driver) || slices.Contains(without, "lib/firmware/other.bin") {
		t.Errorf("without its firmware there is %q", without)
	}
	hostile := ko([]string{"scsi_add_host_with_dma"}, "alias=pci:v0000EEEEd*", "firmware=../../../etc/shadow", "firmware=*", "firmware=")
	for name, data := range map[string]string{"blob.bin": "blob", "blob.bin.xz": xzip(t, "blob"), "blob.bin.zst": zstdip(t, "blob")} {
		got := files(
			entry{name: "usr/lib/firmware/" + name, data: data}, entry{name: "etc/shadow", data: "secret"},
			entry{name: "usr/lib/modules/" + version + "/kernel/drivers/scsi/hostile.ko", data: hostile},
		)
		if !slices.Contains(got, driver) || !slices.Contains(got, "lib/firmware/blob.bin") {
			t.Errorf("with %s there is %q", name, got)
		}
		if slices.ContainsFunc(got, func(file string) bool { return strings.Contains(file, "shadow") || strings.Contains(file, "hostile") }) {
			t.Errorf("a module asks for any file: %q", got)
		}
	}
	_, _, err := build(t, openTree(t, image(t, entry{name: "usr/lib/firmware/blob.bin.xz", data: "\xfd7zXZ\x00"})), initramfs.Options{})
	if err == nil || !strings.Contains(err.Error(), "/usr/lib/firmware/blob.bin.xz") {
		t.Errorf("half a file: %v", err)
	}
}
