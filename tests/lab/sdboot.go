package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// systemdBoot is where Debian's systemd-boot-efi puts it.
const systemdBoot = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"

// espUUID is that of the EFI system partition's file system, unless a test says another.
const espUUID = "5D1B-0E5A"

// InstallSystemdBoot has UEFI start systemd-boot from the disk, in place of GRUB.
func (d *Disk) InstallSystemdBoot(ctx context.Context) error {
	temp, err := os.MkdirTemp("", "gitboot-esp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	program, err := os.ReadFile(systemdBoot)
	if err != nil {
		return fmt.Errorf("%w; run tests/deps.sh test", err)
	}
	for name, data := range map[string][]byte{"EFI/systemd/systemd-bootx64.efi": program, "EFI/BOOT/BOOTX64.EFI": program, "loader/loader.conf": []byte("timeout 0\n")} {
		path := filepath.Join(temp, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o600)); err != nil {
			return err
		}
	}
	return d.writeESP(ctx, temp, "")
}

// ESP does something in a folder that stands for the EFI system partition, because not
// every kernel has vfat: what is on that is there before, and what is in the folder is
// on it afterwards. The folder is in a file system of its own, whose UUID is the
// partition's where files say it.
func (d *Disk) ESP(ctx context.Context, do func(dir string) error) (err error) {
	temp, err := os.MkdirTemp("", "gitboot-esp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	image, dir, uuid := filepath.Join(temp, "image"), filepath.Join(temp, "esp"), newUUID()
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, espSize*sector), os.Mkdir(dir, 0o755)); err != nil {
		return err
	}
	for _, command := range [][]string{{"mkfs.ext4", "-q", "-U", uuid, "-m", "0", image}, {"mount", "-o", "loop", image, dir}} {
		if _, err := Run(ctx, command[0], command[1:]...); err != nil {
			return err
		}
	}
	defer func() {
		_, gone := Run(context.WithoutCancel(ctx), "umount", dir)
		err = errors.Join(err, gone)
	}()
	if _, err := Run(ctx, "mcopy", "-s", "-n", "-m", "-i", d.espFile(), "::", dir); err != nil {
		return err
	}
	if err := replaceIn(filepath.Join(dir, "loader/entries"), d.espUUID, uuid); err != nil {
		return err
	}
	if err := do(dir); err != nil {
		return err
	}
	return d.writeESP(ctx, dir, uuid)
}

// Entries are the names of systemd-boot's.
func (d *Disk) Entries(ctx context.Context) ([]string, error) {
	out, err := Run(ctx, "mdir", "-b", "-i", d.espFile(), "::/loader/entries")
	var names []string
	for _, line := range strings.Fields(out) {
		names = append(names, filepath.Base(line))
	}
	return names, err
}

// espFile is the partition, as mtools take it.
func (d *Disk) espFile() string { return fmt.Sprintf("%s@@%d", d.Path, espStart*sector) }

// writeESP makes the partition anew, with what is in a folder.
func (d *Disk) writeESP(ctx context.Context, dir, uuid string) error {
	esp := filepath.Join(filepath.Dir(dir), filepath.Base(dir)+".vfat")
	defer os.Remove(esp)
	if err := d.formatESP(ctx, esp, "-i", strings.ReplaceAll(d.espUUID, "-", "")); err != nil {
		return err
	}
	if uuid != "" {
		if err := replaceIn(filepath.Join(dir, "loader/entries"), uuid, d.espUUID); err != nil {
			return err
		}
	}
	all, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	args := []string{"-s", "-m", "-i", esp}
	for _, e := range all {
		if e.Name() != "lost+found" {
			args = append(args, filepath.Join(dir, e.Name()))
		}
	}
	if _, err := Run(ctx, "mcopy", append(args, "::")...); err != nil {
		return err
	}
	return copyAt(d.Path, espStart*sector, esp)
}

// replaceIn replaces a text in the files of a folder, which may not be there.
func replaceIn(dir, old, text string) error {
	all, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range all {
		path := filepath.Join(dir, e.Name())
		data, rerr := os.ReadFile(path)
		if err = errors.Join(err, rerr); err == nil {
			err = os.WriteFile(path, bytes.ReplaceAll(data, []byte(old), []byte(text)), 0o600)
		}
	}
	return err
}
