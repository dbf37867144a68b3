package grub

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/block"
	"github.com/gitboot/gitboot/boot/loader/suite"
	"github.com/gitboot/gitboot/tests/need"
)

// Where stage and /boot lie on a file system that GRUB reads and cannot write, the
// real GRUB counts on the EFI system partition.
func TestCountsOnESP(t *testing.T) {
	need.Programs(t, "grub-emu", "mkfs.btrfs", "mkfs.vfat", "mcopy", "mmd")
	_, m, _ := tried(t, 2)
	m.Stage.Type = "btrfs"
	dir := t.TempDir()
	root, disk, esp := filepath.Join(dir, "root"), filepath.Join(dir, "disk"), filepath.Join(dir, "esp")
	b := &envFile{File: block.File(filepath.Join(dir, blockFile)), folder: boot.Filesystem{UUID: "1234-ABCD", Type: "vfat", Path: "/" + espDir}}
	must(t, b.Change(func(is *boot.Memory) { is.Try(m.Default, 2) }))
	tool(t, "mkfs.vfat", "-i", "1234ABCD", "-C", esp, "16384")
	tool(t, "mmd", "-i", esp, "::EFI", "::"+espDir)

	text, err := site{stage: m.Stage}.render(m, b)
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(root, "gitboot/boot"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "gitboot", MenuFile), commands.ReplaceAll(text, []byte("${1}test_$2 ")), 0o600))
	kernels := kernelsOf(text)
	for file := range kernels {
		path := filepath.Join(root, file)
		must(t, errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(file), 0o600)))
	}
	must(t, os.WriteFile(disk, nil, 0o600))
	must(t, os.Truncate(disk, 128<<20))
	tool(t, "mkfs.btrfs", "-q", "-U", suite.Stage.UUID, "--rootdir", root, disk)
	must(t, os.WriteFile(filepath.Join(dir, "device.map"), []byte("(hd0) "+disk+"\n(hd1) "+esp+"\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "grub.cfg"), []byte(theirs+loads), 0o600))

	step := func(what, boots string, after boot.Memory) {
		t.Helper()
		tool(t, "mcopy", "-o", "-i", esp, string(b.File), "::"+espDir+"/"+blockFile)
		if id := kernels[(emulation{}).run(t, dir)]; id != boots {
			t.Errorf("%s: %q boots, want %q", what, id, boots)
		}
		tool(t, "mcopy", "-o", "-n", "-i", esp, "::"+espDir+"/"+blockFile, string(b.File))
		if is, err := b.Read(); err != nil || is != after {
			t.Errorf("%s: it remembers %+v, %v; want %+v", what, is, err, after)
		}
	}
	step("first", m.Default, boot.Memory{Trying: m.Default, Left: 1})
	step("second", m.Default, boot.Memory{Trying: m.Default})
	step("used up", m.Fallback, boot.Memory{Trying: m.Default})
	must(t, b.Change(func(is *boot.Memory) { is.Once = m.Default }))
	step("once", m.Default, boot.Memory{Trying: m.Default})
	step("after it", m.Fallback, boot.Memory{Trying: m.Default})
}

// There it is found where it usually is mounted.
func TestFindsESP(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	need.Filesystem(t, root, 128<<20, "defaults", "mkfs.btrfs", "-q")
	dir, mounted := filepath.Join(root, "boot/grub"), filepath.Join(root, "boot/efi")
	must(t, os.MkdirAll(dir, 0o755))
	g, err := Open(dir, t.TempDir())
	must(t, err)
	at := boot.Filesystem{UUID: ext4.UUID, Type: "btrfs", Path: "/gitboot"}
	if _, err := g.Memory(t.Context(), at); err == nil || !strings.Contains(err.Error(), "nor to an EFI system partition: there is none below") {
		t.Errorf("there is none: %v", err)
	}
	must(t, os.MkdirAll(filepath.Join(mounted, "EFI"), 0o755))
	if _, err := g.Memory(t.Context(), at); err == nil || !strings.Contains(err.Error(), "nor to an EFI system partition: GRUB cannot write to btrfs") {
		t.Errorf("it lies where GRUB cannot write: %v", err)
	}
	need.Filesystem(t, mounted, 16<<20, "defaults", "mkfs.ext4", "-q") // vfat's stand-in: not all kernels have that
	must(t, os.Mkdir(filepath.Join(mounted, "EFI"), 0o755))
	m, err := g.Memory(t.Context(), at)
	must(t, err)
	must(t, m.Change(func(b *boot.Memory) { b.Once = boot.TrialID("1") }))
	file := filepath.Join(mounted, espDir, blockFile)
	if _, err := os.Stat(file); err != nil || m.Location().Path != "/"+espDir+"/"+blockFile {
		t.Errorf("it lies at %s, %v", m.Location(), err)
	}
}
