package menu

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/extlinux"
	"github.com/gitboot/gitboot/boot/grub"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/presigned"
	"github.com/gitboot/gitboot/boot/rpi"
	"github.com/gitboot/gitboot/boot/sdboot"
	"github.com/gitboot/gitboot/boot/secureboot"
	"github.com/gitboot/gitboot/boot/uki"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

// declared is the boot loader that is wanted.
func declared(b *Book) boot.Choice {
	if b.Declared != nil {
		return *b.Declared
	}
	doc, err := state.LoadMachine(b.Stage.Dir())
	if err != nil {
		return boot.Choice{} // who needs the state tells of it
	}
	return choice(doc)
}

// Of is the book of a machine whose document was read.
func (b Book) Of(doc *state.Machine) *Book {
	if b.Declared == nil {
		is := choice(doc)
		b.Declared = &is
	}
	return &b
}

// choice is the boot loader that a document's menu is for.
func choice(doc *state.Machine) boot.Choice {
	return boot.Choice{Loader: doc.Loader, SecureBoot: doc.SecureBoot}
}

// Which says which boot loader shows the menu, and why.
func Which(b *Book) (name, why string) { return loaders(b).which(declared(b).Loader) }

// loader is the boot loader that publishes the menu.
func (b *Book) loader(declared boot.Choice) (loader.Loader, error) { return loaders(b).open(declared) }

// A finder finds the boot loaders of a machine.
type finder struct {
	folder, stage string
	// keys is the folder of those that sign.
	keys string
	// arch is the machine's, "" for this computer's.
	arch string
	// partition, if set, is where the boot loader's own folder will lie.
	partition *boot.Filesystem
	// foreign says that the system which boots is not this one.
	foreign bool
	// elsewhere says that a deployment is running, and nobody says where the boot loader
	// is that has started it: GRUB's own folder is another system's.
	elsewhere bool
}

func loaders(b *Book) finder {
	return finder{b.Folder, b.Stage.Dir(), b.SigningKeys, b.Arch, b.FolderLocation, b.Folder != "" || b.Location != nil, b.Booted != "" && b.Folder == ""}
}

func (f finder) which(declared string) (name, why string) {
	there := boot.Installed{SystemdBoot: sdboot.Found(f.folder)}
	there.GRUB = f.elsewhere || grub.Found(f.folder) && (f.folder == "" || !there.SystemdBoot) // any folder that is named may be GRUB's
	if !f.foreign {
		there.Running, there.RaspberryPi = sdboot.Running(), rpi.Running()
	}
	return boot.Which(declared, there)
}

func (f finder) open(declared boot.Choice) (loader.Loader, error) {
	name, _ := f.which(declared.Loader)
	if name == boot.GRUB && f.elsewhere {
		return grub.Booted(f.stage), nil
	}
	l, err := f.named(name)
	if s, ok := l.(*sdboot.Loader); ok && err == nil && declared.SecureBoot {
		err = f.unify(s)
	}
	return l, err
}

// unify has a boot loader's entries be signed programs.
func (f finder) unify(l *sdboot.Loader) error {
	signer, err := secureboot.Folder(f.keys).Signer()
	if err != nil {
		return err
	}
	stub, err := uki.ReadStub(uki.Stub(f.arch))
	if err != nil && signer.CanSign() { // else it comes with signatures
		return err
	}
	l.Unify(stub, signer, presigned.Folder(filepath.Join(f.stage, stage.SignedDir)))
	return nil
}

func (f finder) named(name string) (l loader.Loader, err error) {
	switch name {
	case boot.SystemdBoot:
		l, err = f.systemdBoot()
	case boot.Extlinux:
		l, err = extlinux.Open(f.folder, f.stage)
	case boot.RaspberryPi:
		l, err = f.raspberryPi()
	default:
		l, err = f.grub()
	}
	if err != nil {
		return nil, fmt.Errorf("find the boot loader: %w", err)
	}
	return l, nil
}

func (f finder) systemdBoot() (*sdboot.Loader, error) {
	l, err := sdboot.Open(f.folder, f.stage)
	if err == nil && f.partition != nil {
		l.LiesAt(*f.partition)
	}
	return l, err
}

func (f finder) raspberryPi() (*rpi.Loader, error) {
	l, err := rpi.Open(f.folder, f.stage)
	if err == nil && f.partition != nil {
		l.LiesAt(*f.partition)
	}
	return l, err
}

func (f finder) grub() (*grub.GRUB, error) {
	if f.partition != nil {
		return grub.OpenMade(f.folder, f.stage, *f.partition)
	}
	return grub.Open(f.folder, f.stage)
}

// unlinkOthers takes the menu out of a boot loader that had it before, if it is here.
func (f finder) unlinkOthers(ctx context.Context, fs boot.Filesystem, now loader.Loader) error {
	if f.foreign || f.elsewhere {
		return nil
	}
	for _, name := range []string{boot.GRUB, boot.SystemdBoot, boot.Extlinux, boot.RaspberryPi} {
		other, err := f.named(name)
		if err != nil || fileOf(other) == fileOf(now) {
			continue
		}
		if linked, err := other.Linked(ctx, fs); err != nil || !linked {
			continue
		}
		if err := other.Unlink(); err != nil {
			return fmt.Errorf("take the boot menu out of %s, which had it before: %w", name, err)
		}
	}
	return nil
}

// fileOf is the file in which a boot loader's menu is linked.
func fileOf(l loader.Loader) string {
	switch l := l.(type) {
	case *sdboot.Loader:
		return l.Where()
	case *extlinux.Loader:
		return l.Where()
	case *rpi.Loader:
		return l.Where()
	case *grub.GRUB:
		return filepath.Join(l.Dir(), "custom.cfg")
	}
	return ""
}

// Unlink takes the menu of a stage out of the boot loader, and says where it was. There
// need be no stage any more.
func Unlink(folder, stage string) (file string, err error) {
	doc, err := state.LoadMachine(stage)
	if err != nil {
		doc = new(state.Machine)
	}
	f := finder{folder: folder, stage: stage, foreign: folder != ""}
	name, _ := f.which(doc.Loader)
	l, err := f.named(name)
	if err != nil {
		return "", err
	}
	return fileOf(l), l.Unlink()
}
