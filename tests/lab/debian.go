package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// NewerKernel is where an installed Debian has the package of the kernel after
// its own, for those who upgrade it: one file in this folder.
const NewerKernel = "/srv/kernel"

// The UUIDs of an installed Debian's file systems. It is made once and copied.
const (
	debianUUID     = "2f0c5a0e-6a55-4d0a-9d0c-3f1c7b5e8a11"
	debianBootUUID = "2f0c5a0e-6a55-4d0a-9d0c-3f1c7b5e8a12"
	espSerial      = "1ab01ab0"
)

// NewDebian makes a disk on which Debian 12 is installed, with systemd and what
// gitboot needs to run in it. GRUB is its own: grub-install and update-grub ran
// in it, for BIOS and for UEFI. The installed disk is kept in the cache, path is
// a copy.
func NewDebian(ctx context.Context, path string) (*Disk, error) {
	return newDebian(ctx, debianDisk(path))
}

// NewDebianOnLVM is NewDebian on a disk as Ubuntu Server's installer divides it by
// default: an EFI system partition, a /boot with ext4, and the rest of LVM's, with the
// root file system on a volume that does not take all of it.
func NewDebianOnLVM(ctx context.Context, path string) (*Disk, error) {
	d := debianDisk(path)
	d.bootUUID, d.onLVM = debianBootUUID, true
	return newDebian(ctx, d)
}

func newDebian(ctx context.Context, d *Disk) (*Disk, error) {
	sum := sha256.Sum256([]byte(strings.Join(d.debianRecipe().args(), "\x00") + debianInstall + fmt.Sprint(d.debianFiles())))
	name := "debian-" + hex.EncodeToString(sum[:6]) + ".img"
	master, err := cached(ctx, name, func(temp string) error {
		made := *d
		made.Path = temp
		return installDebian(ctx, &made)
	})
	if err != nil {
		return nil, fmt.Errorf("install Debian: %w", err)
	}
	if _, err := Run(ctx, "cp", "--sparse=always", master, d.Path); err != nil {
		return nil, err
	}
	return d, nil
}

func debianDisk(path string) *Disk {
	return &Disk{Path: path, UUID: debianUUID, Type: "ext4", sizeMB: 4096, espUUID: espUUID}
}

// debianRecipe takes the newest kernel but one, so that there is one to upgrade
// to. Debian's security archive keeps old ones.
func (d *Disk) debianRecipe() recipe {
	r := recipe{
		suite: "bookworm",
		packages: []string{"udev", "kmod", "systemd-sysv", "squashfs-tools-ng", "initramfs-tools", "zstd",
			"grub2-common", "grub-pc-bin", "grub-efi-amd64-bin"},
		hooks: []string{`--customize-hook=
			set -e
			kernels=$(chroot "$1" apt-cache search --names-only '^linux-image-6[.]1[.]0-[0-9]+-cloud-amd64$' | cut -d' ' -f1 | sort -V | tail -2)
			set -- "$1" $kernels
			if [ -z "$3" ]; then echo "the mirror has only one kernel, $2; it needs bookworm-security" >&2; exit 1; fi
			chroot "$1" apt-get install -qq --no-install-recommends "$2"
			mkdir -p "$1` + NewerKernel + `"
			chroot "$1" sh -c "cd ` + NewerKernel + ` && apt-get download -qq $3"`},
	}
	if d.onLVM {
		r.packages = append(r.packages, "lvm2")
	}
	return r
}

// debianFiles is what an administrator has set up. GRUB is on the serial port,
// too; an initrd for this machine alone is made in seconds, not minutes, where
// the processor is emulated.
func (d *Disk) debianFiles() map[string]string {
	files := map[string]string{
		"etc/hostname":     "debian\n",
		"etc/default/grub": debianGRUB,
		"etc/fstab": fmt.Sprintf("UUID=%s / ext4 errors=remount-ro 0 1\nUUID=%s-%s /boot/efi vfat umask=0077 0 1\n",
			debianUUID, strings.ToUpper(espSerial[:4]), strings.ToUpper(espSerial[4:])),
		"etc/initramfs-tools/conf.d/lab": "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n",
		"etc/initramfs-tools/modules":    "virtio_pci\nvirtio_blk\next4\n",
		"usr/local/sbin/lab-install":     debianInstall,
	}
	if d.onLVM {
		files["etc/fstab"] += "UUID=" + d.bootUUID + " /boot ext4 defaults 0 1\n"
		files["usr/local/sbin/lab-install"] = strings.NewReplacer("mount /boot/efi", "mount /boot && mount /boot/efi", "umount /boot/efi", "umount /boot/efi /boot").Replace(debianInstall)
	}
	return files
}

const debianGRUB = `GRUB_DEFAULT=0
GRUB_TIMEOUT=1
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="console=ttyS0 loglevel=5"
GRUB_TERMINAL="serial console"
`

// debianInstall runs in the booted system in place of its init. The firmware
// that starts the disk later knows it by no entry of its own, so GRUB for UEFI
// must lie where removable disks have theirs, too.
const debianInstall = `#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
mount -o remount,rw / &&
	mount /boot/efi &&
	grub-install --target=i386-pc /dev/vda &&
	grub-install --target=x86_64-efi --efi-directory=/boot/efi --no-nvram --force-extra-removable &&
	update-grub &&
	umount /boot/efi &&
	mount -o remount,ro / &&
	echo "lab: Debian is installed"
echo o >/proc/sysrq-trigger
sleep 60
`

func installDebian(ctx context.Context, d *Disk) (err error) {
	temp, err := os.MkdirTemp(filepath.Dir(d.Path), "debian-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	rootfs := filepath.Join(temp, "root.tar")
	if err := makeRootFS(ctx, d.debianRecipe(), rootfs); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return d.partition(ctx) },
		func() error { return d.format(ctx) },
		func() error { return d.formatESP(ctx, filepath.Join(temp, "esp"), "-i", espSerial) },
		func() error { return d.unpackDebian(ctx, rootfs, temp) },
		func() error { return bootInstaller(ctx, d, temp) },
	} {
		if err := step(); err != nil {
			return errors.Join(err, d.Unmount(), os.Remove(d.Path))
		}
	}
	return nil
}

// unpackDebian fills the large file system, and takes kernel and initrd out.
func (d *Disk) unpackDebian(ctx context.Context, rootfs, temp string) error {
	mnt, err := d.Mount(ctx)
	if err != nil {
		return err
	}
	if _, err := Run(ctx, "tar", "-C", mnt, "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xf", rootfs); err != nil {
		return err
	}
	for name, content := range d.debianFiles() {
		if err := os.WriteFile(filepath.Join(mnt, name), []byte(content), 0o755); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(mnt, "boot/efi"), 0o755); err != nil {
		return err
	}
	for from, to := range map[string]string{"boot/vmlinuz-*": "vmlinuz", "boot/initrd.img-*": "initrd"} {
		found, err := filepath.Glob(filepath.Join(mnt, from))
		if err != nil || len(found) != 1 {
			return fmt.Errorf("want one %s, found %q, %w", from, found, err)
		}
		if _, err := Run(ctx, "cp", found[0], filepath.Join(temp, to)); err != nil {
			return err
		}
	}
	return d.Unmount()
}

// rootDevice is what its kernel is told of the large file system.
func (d *Disk) rootDevice() string {
	if d.onLVM { // its initrd activates what is so called
		return "/dev/mapper/ubuntu--vg-ubuntu--lv"
	}
	return "UUID=" + d.UUID
}

// installLimit is many times what installing takes under software emulation.
const installLimit = 10 * time.Minute

func bootInstaller(ctx context.Context, d *Disk, temp string) error {
	accel, err := Accelerator(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	vm, err := StartVM(ctx, VMOptions{
		Disk: d.Path, Accel: accel, Kernel: filepath.Join(temp, "vmlinuz"), Initrd: filepath.Join(temp, "initrd"),
		Append: "root=" + d.rootDevice() + " ro console=ttyS0 loglevel=4 init=/usr/local/sbin/lab-install",
	})
	if err != nil {
		return err
	}
	if _, err := vm.WaitFor(ctx, regexp.MustCompile("lab: Debian is installed")); err != nil {
		return errors.Join(err, vm.Stop())
	}
	return errors.Join(vm.Wait(ctx), vm.Stop())
}
