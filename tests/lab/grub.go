package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// grubLib is where Debian's grub-pc-bin and grub-efi-amd64-bin put GRUB.
const grubLib = "/usr/lib/grub"

// installGRUB does what grub-install does, for both firmwares at once. It does
// not run grub-install itself, which insists on partition devices and on a
// mounted EFI system partition; many build machines have neither.
func (d *Disk) installGRUB(ctx context.Context, o DiskOptions) error {
	if _, err := d.Mount(ctx); err != nil {
		return err
	}
	for _, target := range []string{"i386-pc", "x86_64-efi"} {
		if err := copyModules(target, filepath.Join(d.grubDir(), target)); err != nil {
			return err
		}
	}
	if _, err := Run(ctx, "grub-editenv", filepath.Join(d.grubDir(), "grubenv"), "create"); err != nil {
		return err
	}
	cfg := grubCfg(o.OtherSystem)
	if err := os.WriteFile(filepath.Join(d.grubDir(), "grub.cfg"), []byte(cfg), 0o600); err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "gitboot-grub-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	uefi := d.installUEFI
	if o.Shim {
		uefi = d.installShim
	}
	return errors.Join(d.installBIOS(ctx, temp), uefi(ctx, temp), d.Unmount())
}

func copyModules(target, to string) error {
	from := filepath.Join(grubLib, target)
	entries, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("%w; run tests/deps.sh demo", err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != ".mod" && ext != ".lst" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mkimage makes a GRUB core image that finds the disk's file system and goes
// on with the modules and grub.cfg there.
func (d *Disk) mkimage(ctx context.Context, temp, target string, modules ...string) (string, error) {
	early := filepath.Join(temp, "early.cfg")
	cfg := fmt.Sprintf("search.fs_uuid %s root\nset prefix=($root)/boot/grub\n", d.UUID)
	if d.bootUUID != "" {
		cfg = fmt.Sprintf("search.fs_uuid %s root\nset prefix=($root)/grub\n", d.bootUUID)
	}
	if err := os.WriteFile(early, []byte(cfg), 0o600); err != nil {
		return "", err
	}
	image := filepath.Join(temp, target)
	args := []string{"-O", target, "-o", image, "-p", "/boot/grub", "-c", early, "part_gpt", "ext2", "xfs", "btrfs", "search_fs_uuid"}
	if d.onLVM && d.bootUUID == "" {
		args = append(args, "lvm")
	}
	if d.onMirror {
		args = append(args, "mdraid1x")
	}
	_, err := Run(ctx, "grub-mkimage", append(args, modules...)...)
	return image, err
}

// installBIOS writes GRUB's boot and core images as grub-bios-setup does
// (util/setup.c, offsets in include/grub/i386/pc/boot.h): the boot image into
// the first sector, before the partition table, and the core image into the
// BIOS boot partition, each with the place of what it loads next.
func (d *Disk) installBIOS(ctx context.Context, temp string) error {
	corePath, err := d.mkimage(ctx, temp, "i386-pc", "biosdisk")
	if err != nil {
		return err
	}
	core, err := os.ReadFile(corePath)
	if err != nil {
		return err
	}
	if len(core) > biosSize*sector {
		return fmt.Errorf("GRUB's core image has %d bytes, more than its partition", len(core))
	}
	boot, err := os.ReadFile(filepath.Join(grubLib, "i386-pc", "boot.img"))
	if err != nil {
		return err
	}
	const kernelSector, driveCheck, bootCodeEnd = 0x5c, 0x66, 0x1b8
	binary.LittleEndian.PutUint64(boot[kernelSector:], biosStart)
	copy(boot[driveCheck:], "\x90\x90") // nop: a hard disk needs no floppy check

	const blockList = sector - 12
	binary.LittleEndian.PutUint64(core[blockList:], biosStart+1)
	binary.LittleEndian.PutUint16(core[blockList+8:], uint16((len(core)+sector-1)/sector-1))

	f, err := os.OpenFile(d.Path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err1 := f.WriteAt(boot[:bootCodeEnd], 0)
	_, err2 := f.WriteAt(core, biosStart*sector)
	return errors.Join(err1, err2, f.Close())
}

// installUEFI fills the EFI system partition with mtools, without mounting it:
// not every kernel has vfat.
func (d *Disk) installUEFI(ctx context.Context, temp string) error {
	image, err := d.mkimage(ctx, temp, "x86_64-efi")
	if err != nil {
		return err
	}
	return d.fillESP(ctx, temp, map[string]string{image: "BOOT/BOOTX64.EFI"})
}

// Where Debian's shim-signed and grub-efi-amd64-signed put what they have.
const (
	signedShim = "/usr/lib/shim/shimx64.efi.signed"
	signedGRUB = "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
)

// installShim has UEFI start Debian's signed GRUB by Debian's shim, as grub-install does
// for a disk that is to start anywhere. That GRUB looks for its grub.cfg in EFI/debian
// and nowhere else.
func (d *Disk) installShim(ctx context.Context, temp string) error {
	cfg := filepath.Join(temp, "grub.cfg")
	if err := os.WriteFile(cfg, []byte(fmt.Sprintf("search.fs_uuid %s root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n", d.UUID)), 0o600); err != nil {
		return err
	}
	return d.fillESP(ctx, temp, map[string]string{signedShim: "BOOT/BOOTX64.EFI", signedGRUB: "BOOT/grubx64.efi", cfg: "debian/grub.cfg"})
}

// fillESP makes the EFI system partition's file system, with these files below EFI.
func (d *Disk) fillESP(ctx context.Context, temp string, files map[string]string) error {
	esp := filepath.Join(temp, "esp")
	if err := d.formatESP(ctx, esp); err != nil {
		return err
	}
	if _, err := Run(ctx, "mmd", "-i", esp, "::/EFI", "::/EFI/BOOT", "::/EFI/debian"); err != nil {
		return err
	}
	for from, to := range files {
		if _, err := Run(ctx, "mcopy", "-i", esp, from, "::/EFI/"+to); err != nil {
			return fmt.Errorf("%w; run tests/deps.sh test", err)
		}
	}
	return copyAt(d.Path, espStart*sector, esp)
}

// formatESP makes the EFI system partition's file system, in the file esp and
// on the disk.
func (d *Disk) formatESP(ctx context.Context, esp string, args ...string) error {
	if err := os.WriteFile(esp, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(esp, espSize*sector); err != nil {
		return err
	}
	if _, err := Run(ctx, "mkfs.vfat", append([]string{"-F", "32", "-n", "ESP", esp}, args...)...); err != nil {
		return err
	}
	return copyAt(d.Path, espStart*sector, esp)
}

// copyAt writes the file from into the file to at an offset.
func copyAt(to string, offset int64, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(dst, offset), src)
	return errors.Join(err, dst.Close())
}

// grubCfg returns the parts of what Debian's grub-mkconfig writes that matter
// to a menu which custom.cfg adds to: the handling of grubenv, next_entry and
// the default, the timeout, and the end, which sources custom.cfg. The serial
// console is ours, and that nobody waits. TestGrubCfg compares it with an installed
// Debian's.
func grubCfg(otherSystem bool) string {
	var b strings.Builder
	b.WriteString(grubHeader)
	b.WriteString(grubTerminal)
	b.WriteString(grubTimeout)
	if otherSystem {
		b.WriteString(grubOther)
	}
	b.WriteString(grubCustom)
	return b.String()
}

const grubHeader = `### BEGIN /etc/grub.d/00_header ###
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="0"
fi

if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi

export menuentry_id_option

function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}

`

const grubTerminal = `
serial --unit=0 --speed=115200
terminal_input serial console
if [ "${grub_platform}" = efi ]; then
  # The firmware's console already is the serial port.
  terminal_output console
else
  terminal_output serial console
fi
`

const grubTimeout = `if [ "${recordfail}" = 1 ] ; then
  set timeout=30
else
  if [ x$feature_timeout_style = xy ] ; then
    set timeout_style=menu
    set timeout=0
  else
    set timeout=0
  fi
fi
### END /etc/grub.d/00_header ###
`

const grubOther = `
### BEGIN /etc/grub.d/10_linux ###
menuentry 'Debian GNU/Linux' --class debian --class gnu-linux --class gnu --class os $menuentry_id_option 'gnulinux-simple' {
	echo 'lab: the other system was booted'
	sleep 2
	halt
}
### END /etc/grub.d/10_linux ###
`

const grubCustom = `
### BEGIN /etc/grub.d/41_custom ###
if [ -f  ${config_directory}/custom.cfg ]; then
  source ${config_directory}/custom.cfg
elif [ -z "${config_directory}" -a -f  $prefix/custom.cfg ]; then
  source $prefix/custom.cfg
fi
### END /etc/grub.d/41_custom ###
`
