package initramfs_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
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
