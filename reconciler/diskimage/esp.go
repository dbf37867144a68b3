package diskimage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/gitboot/gitboot/boot/efivar"
	"github.com/gitboot/gitboot/boot/secureboot"
	"github.com/gitboot/gitboot/boot/uki"
	"github.com/gitboot/gitboot/disk"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/disk/tree"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/placement"
	"github.com/gitboot/gitboot/stage"
)

// autoFolder is from where systemd-boot, in setup mode, tells the firmware whom to trust:
// when somebody chooses it in its menu, or at its first start where enrollNow is set.
const (
	autoFolder = "loader/keys/auto"
	enrollNow  = "secure-boot-enroll force\n"
)

// bootFolder makes what is to lie where the boot loader looks; to its own folder there, the
// reconcile adds the menu.
func (p *preparation) bootFolder(ctx context.Context) (err error) {
	switch p.place.Loader {
	case layout.SystemdBoot:
		p.folder, err = p.systemdBoot(ctx)
		p.Config.Boot = p.folder
	case layout.Extlinux:
		p.folder = filepath.Join(p.Temp, "esp")
		p.Config.Boot = filepath.Join(p.folder, placement.ExtlinuxFolder)
		err = os.MkdirAll(p.Config.Boot, 0o700)
	case layout.RaspberryPi:
		p.folder, err = p.raspberryPi()
		p.Config.Boot = p.folder
	default:
		p.folder, err = p.grub()
		p.Config.Boot = p.folder
	}
	return err
}

// systemdBoot makes its partition.
func (p *preparation) systemdBoot(ctx context.Context) (string, error) {
	dir := filepath.Join(p.Temp, "esp")
	suffix := uki.Suffix(p.place.Arch)
	for _, name := range []string{"EFI/systemd/systemd-boot" + suffix + ".efi", "EFI/BOOT/BOOT" + strings.ToUpper(suffix) + ".EFI"} {
		if err := p.program(filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	conf, text := filepath.Join(dir, "loader/loader.conf"), "timeout 5\n"
	if p.Enroll {
		text += enrollNow
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(conf), 0o700), os.WriteFile(conf, []byte(text), 0o600)); err != nil {
		return "", err
	}
	return dir, p.enroll(ctx, filepath.Join(dir, autoFolder))
}

func (p *preparation) secure() bool { return p.wanted.Wants.Boot.SecureBoot }

// signs refuses what would mean nothing, of a machine of which nothing is signed.
func (p *preparation) signs() error {
	var what string
	switch {
	case p.secure():
		return nil
	case p.Enroll:
		what = "there is nothing that its firmware could be told to trust"
	case p.KeepKey:
		what = "no key that signs would be on its disk anyway"
	case p.Keys != "":
		what = "nothing that it boots is signed, by the keys in " + p.Keys + " or others"
	default:
		return nil
	}
	return fmt.Errorf("machine %s does not declare secure_boot = true: %s", p.wanted.Wants.Machine, what)
}

func (p *preparation) keys() secureboot.Folder {
	return secureboot.Folder(cmp.Or(p.Config.SigningKeys, filepath.Join(p.Config.Stage, stage.KeysDir)))
}

// program puts systemd-boot there, signed if what boots is.
func (p *preparation) program(to string) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	systemdBoot := uki.Folder + "systemd-boot" + uki.Suffix(p.place.Arch) + ".efi"
	if _, err := os.Stat(systemdBoot); err != nil {
		return fmt.Errorf("find systemd-boot for the disk: %w; install it: on Debian and Ubuntu the package systemd-boot-efi:%s", err, p.place.Arch)
	}
	if !p.secure() {
		data, err := os.ReadFile(systemdBoot)
		return errors.Join(err, os.WriteFile(to, data, 0o600))
	}
	signer, err := p.keys().Signer()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(signer.Copy(f, systemdBoot), f.Close())
}

// enroll puts what the firmware is to trust where systemd-boot finds it. Who has only the
// key that signs leaves it out: others have told the firmware.
func (p *preparation) enroll(ctx context.Context, dir string) error {
	if !p.secure() {
		return nil
	}
	for _, r := range []secureboot.Role{secureboot.PK, secureboot.KEK} {
		if _, err := os.Stat(p.keys().Key(r)); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	updates, err := p.keys().Updates(ctx, efivar.Folder(dir), secureboot.Others{}, p.now())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, u := range updates {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, u.File()), u.Signed, 0o600))
	}
	return err
}

// espFiles are those of the boot loader's folder, which have to fit into a partition.
func (p *preparation) espFiles(length int64) (files []tree.File, err error) {
	const more = 8 << 20 // what the file system takes itself, and folders
	size := int64(more)
	err = filepath.WalkDir(p.folder, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(p.folder, file)
		files = append(files, tree.File{Path: "/" + filepath.ToSlash(rel), Source: file, Size: info.Size()})
		size += info.Size()
		return err
	})
	if err == nil && size > length {
		err = fmt.Errorf("kernels and initramfs take %s of the EFI system partition, and it has %s; give the partition with the role %q more", progress.Bytes(size), progress.Bytes(length), layout.ESP)
	}
	return files, err
}

// addKeys adds the key that signs to the stage, so that the machine can sign what it
// stages; or its certificate alone, and what was signed by it.
func (p *preparation) addKeys(ctx context.Context, t *disk.Tree) error {
	if !p.secure() {
		return nil
	}
	dir := path.Join(stagePath, stage.KeysDir)
	t.Folders = append(t.Folders, tree.Folder{Path: dir, Mode: 0o700})
	files := []string{p.keys().Certificate(secureboot.DB)}
	if !p.KeepKey {
		files = append(files, p.keys().Key(secureboot.DB))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		t.Files = append(t.Files, tree.File{Path: path.Join(dir, filepath.Base(file)), Text: text, Mode: 0o600})
	}
	if !p.KeepKey {
		return nil
	}
	return p.addSignatures(ctx, t)
}
