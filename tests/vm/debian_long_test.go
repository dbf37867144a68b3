//go:build long

package vm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/gitboot/gitboot/boot/grub"
	"github.com/gitboot/gitboot/tests/lab"
)

// The story of TestInstalledDebian with a real kernel package, whose scripts
// make an initrd and run update-grub, and with a boot of that kernel, asked for
// by grub-reboot in mode managed.
func TestLongDebianBIOS(t *testing.T) {
	s := newEmptySite(t)
	disk := s.debian(t, lab.NewDebian, true)
	s.liveDebian(t, disk, lab.BIOS, 3)
	s.wantsPassword(t, disk)
}

// The same through UEFI. There the kernel has a screen because our entries see
// to it: without that line it has none.
func TestLongDebianUEFI(t *testing.T) {
	s := newEmptySite(t)
	disk := s.debian(t, lab.NewDebian, true)
	if screen := s.liveDebian(t, disk, lab.UEFI, 3); screen == "" {
		t.Error("the kernel has no screen")
	}
	s.withoutLine(t, disk, "  gitboot_screen\n")
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.UEFI, Snapshot: true})
	ctx, cancel := context.WithTimeout(s.ctx, bootLimit)
	defer cancel()
	if _, err := vm.WaitFor(ctx, regexp.MustCompile(`lab: small, managed, screen: $`)); err != nil {
		t.Error(err)
	}
}

// The same where Debian is on a disk as Ubuntu Server divides it: gitboot in it finds
// what its stage is on, and its entries lie on /boot.
func TestLongDebianOnLVM(t *testing.T) {
	s := newEmptySite(t)
	disk := s.debian(t, lab.NewDebianOnLVM, false)
	s.liveDebian(t, disk, lab.UEFI, 2)
	s.look(t, disk, func(mnt string) error {
		menu, err := os.ReadFile(filepath.Join(mnt, "boot/grub/gitboot/gitboot.cfg"))
		if err == nil && !bytes.Contains(menu, []byte("'gitboot.assemble=lvm:")) {
			t.Errorf("the menu does not say what the stage is on:\n%s", menu)
		}
		checked, err1 := os.ReadFile(filepath.Join(mnt, "var/lib/lab-doctor"))
		if !bytes.Contains(checked, []byte("boot-loader: the stage is on lvm")) {
			t.Errorf("doctor does not say what the stage is on:\n%s", checked)
		}
		return errors.Join(err, err1)
	})
}

// withoutLine takes a line out of the menu.
func (s *site) withoutLine(t *testing.T, disk *lab.Disk, line string) {
	t.Helper()
	mnt, err := disk.Mount(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(mnt, "var/lib/gitboot", grub.MenuFile)
	menu, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(menu, []byte(line)) {
		t.Fatalf("the menu has no line %q", line)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(menu, []byte(line), nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := disk.Unmount(); err != nil {
		t.Fatal(err)
	}
}
