// Package bootcode puts GRUB onto a disk that is made: what a BIOS and what UEFI start,
// and the folder in which it finds the rest. It does what grub-install does, which
// needs a disk that is a device, and mounted.
package bootcode

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/scratch"
	"github.com/gitboot/gitboot/disk/tool"
)

// lib is where distributions put GRUB, a folder for each platform.
const lib = "/usr/lib/grub"

// BIOS is GRUB's platform for those of PCs.
const BIOS = "i386-pc"

// A target is UEFI on an architecture: GRUB's platform, the package of Debian's that
// has it, and what a firmware starts of a disk that it has not seen before (UEFI
// specification 2.10, section 3.5.1.1).
type target struct{ platform, debian, file string }

func uefi(arch string) target {
	if arch == "arm64" {
		return target{"arm64-efi", "grub-efi-arm64-bin", "/EFI/BOOT/BOOTAA64.EFI"}
	}
	return target{"x86_64-efi", "grub-efi-amd64-bin", "/EFI/BOOT/BOOTX64.EFI"}
}

// UEFI is GRUB's platform for UEFI on an architecture, in Go's words.
func UEFI(arch string) string { return uefi(arch).platform }

// Removable is what UEFI starts of a disk that it has not seen before.
func Removable(arch string) string { return uefi(arch).file }

// Programs are those that this takes.
func Programs() []string { return []string{"grub-mkimage"} }

// A MissingError says that GRUB is not here for a platform.
type MissingError struct{ Platform string }

func (e *MissingError) Error() string {
	from := "grub-pc-bin"
	for _, arch := range []string{"amd64", "arm64"} {
		if uefi(arch).platform != e.Platform {
			continue
		}
		if from = uefi(arch).debian; arch != runtime.GOARCH {
			from = fmt.Sprintf("%s:%s (after dpkg --add-architecture %[2]s and apt-get update)", from, arch)
		}
	}
	return fmt.Sprintf("there is no GRUB for %s here (%s); install it: on Debian and Ubuntu the package %s", e.Platform, filepath.Join(lib, e.Platform), from)
}

// Installed reports, as a *MissingError, that GRUB is not here for a platform.
func Installed(platforms ...string) error {
	for _, p := range platforms {
		if _, err := os.Stat(filepath.Join(lib, p, "normal.mod")); err != nil {
			return &MissingError{p}
		}
	}
	return nil
}

// Modules are the files that GRUB loads while it runs, by their names.
func Modules(platform string) (map[string]string, error) {
	all, err := os.ReadDir(filepath.Join(lib, platform))
	if err != nil {
		return nil, &MissingError{platform}
	}
	modules := map[string]string{}
	for _, e := range all {
		if ext := filepath.Ext(e.Name()); ext == ".mod" || ext == ".lst" {
			modules[e.Name()] = filepath.Join(lib, platform, e.Name())
		}
	}
	return modules, nil
}

// A Core is the part of GRUB that a firmware starts.
type Core struct {
	// UUID is that of the file system which has its folder, Prefix the folder there.
	UUID, Prefix string
	// Filesystem is what kind that is.
	Filesystem string
	Time       time.Time
	// CD is that of one which is on a CD.
	CD bool
}

// modules are what a core needs before it finds its folder, and form is what it is for
// a platform.
func (c Core) modules(platform string) (form string, modules []string) {
	reader := map[string]string{"ext4": "ext2", "vfat": "fat", "": "ext2"}[c.Filesystem]
	modules, form = []string{"part_gpt", cmp.Or(reader, c.Filesystem), "search_fs_uuid"}, platform
	if c.CD {
		modules = append(modules, "iso9660", "part_msdos")
	}
	if platform == BIOS {
		modules = append(modules, "biosdisk")
		if c.CD {
			form += "-eltorito"
		}
	}
	return form, modules
}

// Hybrid is the boot image of a CD's first sector, for a stick that it is written to.
func Hybrid() string { return filepath.Join(lib, BIOS, "boot_hybrid.img") }

// Make makes a core image, in a file that is gone when it is closed.
func (c Core) Make(ctx context.Context, platform string) (image *os.File, err error) {
	if err := Installed(platform); err != nil {
		return nil, err
	}
	early, err := scratch.New(0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, early.Close()) }()
	if _, err := fmt.Fprintf(early, "search.fs_uuid %s root\nset prefix=($root)%s\n", c.UUID, c.Prefix); err != nil {
		return nil, err
	}
	if image, err = scratch.New(0); err != nil {
		return nil, err
	}
	form, modules := c.modules(platform)
	args := []string{"-d", filepath.Join(lib, platform), "-O", form, "-o", scratch.Path(image), "-p", c.Prefix, "-c", scratch.Path(early)}
	if _, _, err := tool.Run(ctx, c.Time, "", "grub-mkimage", slices.Concat(args, modules)...); err != nil {
		return nil, errors.Join(err, image.Close())
	}
	return image, nil
}

// What GRUB's boot image has where (include/grub/i386/pc/boot.h), and its core image in
// the list of blocks at the end of its first sector (include/grub/offsets.h, struct
// grub_pc_bios_boot_blocklist).
const (
	sector       = 512
	kernelSector = 0x5c
	driveCheck   = 0x66
	bootCodeEnd  = 0x1b8
	blockList    = sector - 12
)

// Embed adds what a BIOS starts to a disk's pieces: the boot image in the first sector,
// before the partition table, and the core image in the BIOS boot partition, each with
// the place of what it loads next, as grub-bios-setup does.
func Embed(disk *piece.List, core io.Reader, start, length int64) error {
	image, err := io.ReadAll(core)
	if err != nil {
		return err
	}
	if int64(len(image)) > length {
		return fmt.Errorf("GRUB's core image has %d bytes, and its partition %d; give the partition bios a size that is larger", len(image), length)
	}
	boot, err := os.ReadFile(filepath.Join(lib, BIOS, "boot.img"))
	if err != nil {
		return &MissingError{BIOS}
	}
	if len(boot) != sector || len(image) <= sector {
		return errors.New("GRUB's images have an unknown form")
	}
	first := start / sector
	binary.LittleEndian.PutUint64(boot[kernelSector:], uint64(first))
	copy(boot[driveCheck:], "\x90\x90") // nop: a hard disk needs no floppy check
	binary.LittleEndian.PutUint64(image[blockList:], uint64(first+1))
	binary.LittleEndian.PutUint16(image[blockList+8:], uint16((len(image)+sector-1)/sector-1))
	disk.Text(0, boot[:bootCodeEnd])
	disk.Text(start, image)
	return nil
}
