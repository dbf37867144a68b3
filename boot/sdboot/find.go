package sdboot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/copies"
	"github.com/gitboot/gitboot/boot/efivar"
	"github.com/gitboot/gitboot/boot/place"
	"github.com/gitboot/gitboot/internal/owned"
)

// points are where an EFI system partition is mounted, as bootctl(1) looks for it.
var points = [...]string{"/efi", "/boot", "/boot/efi"}

// A Loader is an installed systemd-boot, and the menu of one stage.
type Loader struct {
	// esp is where the EFI system partition is mounted, and boot where the partition
	// with the entries is: the same, or an extended boot loader partition.
	esp, boot string
	vars      firmware
	form      form
	// at is where boot lies, once it was found.
	at *boot.Filesystem
}

// Open finds systemd-boot on the partition that is mounted at dir or, if that is
// empty, where one usually is. The stage is its folder.
func Open(dir, stage string) (*Loader, error) {
	dirs := points[:]
	if dir != "" {
		dirs = []string{dir}
	}
	for _, esp := range dirs {
		if !Installed(esp) {
			continue
		}
		if err := owned.Check(esp); err != nil {
			return nil, fmt.Errorf("find systemd-boot: %w", err)
		}
		return &Loader{esp: esp, boot: partition(esp), form: form{stage: stage}, vars: firmware{efivar.System}}, nil
	}
	return nil, fmt.Errorf("find systemd-boot: there is no EFI/systemd/systemd-boot*.efi below %s; "+
		"install it with `bootctl install`, mount the EFI system partition, or say where it is mounted with --boot", strings.Join(dirs, ", "))
}

// Installed reports whether systemd-boot is on a partition that is mounted there.
func Installed(esp string) bool {
	found, err := filepath.Glob(filepath.Join(esp, "EFI/systemd/systemd-boot*.efi"))
	return err == nil && len(found) > 0
}

// Found reports whether Open would find it.
func Found(dir string) bool {
	_, err := Open(dir, "")
	return err == nil
}

// partition is where entries belong that systemd-boot on esp shows: on /boot, if that
// is an extended boot loader partition, which is one with entries and without a
// boot loader.
func partition(esp string) string {
	const apart = "/boot"
	if esp != "/efi" && esp != "/boot/efi" || Installed(apart) || !mountPoint(apart) {
		return esp
	}
	if info, err := os.Stat(filepath.Join(apart, entriesDir)); err != nil || !info.IsDir() {
		return esp
	}
	return apart
}

func mountPoint(dir string) bool {
	fs, err := place.Of(context.Background(), dir)
	return err == nil && fs.Path == "/"
}

// LiesAt says where the partition with the entries will be found at boot, of a folder
// that is none yet.
func (l *Loader) LiesAt(at boot.Filesystem) { l.at = &at }

// Dir returns where the partition with the entries is mounted.
func (l *Loader) Dir() string { return l.boot }

// Where is loader.conf.
func (l *Loader) Where() string { return filepath.Join(l.esp, "loader/loader.conf") }

func (l *Loader) copies() copies.Folder {
	f := copies.Folder{Dir: filepath.Join(l.boot, copiesDir), Stage: l.form.stage}
	if l.form.signer != nil {
		f.Unify = l.form.image
	}
	return f
}

// where finds the partition with the entries, as the boot loader and process 1 do.
func (l *Loader) where(ctx context.Context) (boot.Filesystem, error) {
	at, err := place.Top(ctx, l.boot, l.at)
	if err == nil {
		l.at = &at
	}
	return at, err
}

// Check finds out whether what the menu names can be copied to where the firmware
// reads it. What the stage lies on does not matter to it.
func (l *Loader) Check(_ context.Context, stage boot.Filesystem) error {
	if err := errors.Join(stage.Check(), owned.Check(l.boot)); err != nil {
		return err
	}
	if err := l.copies().Check(); err != nil {
		return fmt.Errorf("copy kernels to where systemd-boot reads them: %w", err)
	}
	return nil
}
