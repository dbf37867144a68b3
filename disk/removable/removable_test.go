package removable

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

// made runs a script in a folder of its own, and returns that.
func made(t *testing.T, script string) string {
	t.Helper()
	need.Programs(t, "sfdisk", "mkfs.vfat", "mmd", "mcopy", "mdir", "qemu-img", "xorriso")
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return cmd.Dir
}

// esp makes a file system with a program, at an offset of a file that is there.
const esp = `
mkfs.vfat --offset=2048 -F 32 $disk 40000 >/dev/null
mmd -i $disk@@1M ::/EFI ::/EFI/BOOT
for name in $names; do mcopy -i $disk@@1M /dev/null ::/EFI/BOOT/$name; done
`

// What firmware starts says what a disk is for, whatever its file is.
func TestArchitectures(t *testing.T) {
	dir := made(t, `
table() { truncate -s 48M $disk; printf 'label: gpt\nstart=2048, size=81920, type=uefi\n' | sfdisk -q $disk; }
disk=both.img names='bootx64.efi BOOTAA64.EFI'; table; `+esp+`
disk=arm.img names=BOOTAA64.EFI; table; `+esp+`
qemu-img convert -f raw -O qcow2 arm.img arm.qcow2
disk=mbr.img names=BOOTAA64.EFI; truncate -s 48M $disk; printf 'label: dos\nstart=2048, size=81920, type=ef\n' | sfdisk -q $disk; `+esp+`
dd if=arm.img of=late.img bs=1M skip=1 seek=65 count=40 2>/dev/null; truncate -s 128M late.img; printf 'label: gpt\nstart=133120, size=81920, type=uefi\n' | sfdisk -q late.img
qemu-img convert -f raw -O qcow2 late.img late.qcow2
disk=pi.img names=; truncate -s 48M $disk; printf 'label: dos\nstart=2048, size=81920, type=c\n' | sfdisk -q $disk; mkfs.vfat --offset=2048 -F 32 $disk 40000 >/dev/null; mcopy -i $disk@@1M /dev/null ::/config.txt
disk=other.img names=BOOTRISCV64.EFI; table; `+esp+`
disk=empty.img; table
truncate -s 1M blank.img
mkdir cd; truncate -s 3M cd/efi.img; mkfs.vfat cd/efi.img >/dev/null; mmd -i cd/efi.img ::/EFI ::/EFI/BOOT; mcopy -i cd/efi.img /dev/null ::/EFI/BOOT/BOOTAA64.EFI
xorriso -no_rc -as mkisofs -quiet -o arm.iso --protective-msdos-label --efi-boot efi.img -efi-boot-part --efi-boot-image cd 2>/dev/null
`)
	for name, want := range map[string][]string{
		"both.img": {"amd64", "arm64"}, "arm.img": {"arm64"}, "arm.qcow2": {"arm64"}, "arm.iso": {"arm64"}, "mbr.img": {"arm64"}, "late.qcow2": {"arm64"}, "other.img": nil, "blank.img": nil,
	} {
		if got, err := Architectures(t.Context(), filepath.Join(dir, name)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"empty.img", "none.img"} {
		if got, err := Architectures(t.Context(), filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), name) || got != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got, err := Architectures(t.Context(), filepath.Join(dir, "pi.img")); !errors.Is(err, ErrRaspberryPi) || got != nil {
		t.Errorf("pi.img: %v, %v", got, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 12 {
		t.Errorf("left there: %v, %v", left, err)
	}
}
