// Package iso makes a medium that boots: an ISO 9660 file system (ECMA-119, with Rock
// Ridge's names and modes) that BIOS and UEFI start, from a CD, or from a stick that it
// was written to byte for byte. It does what grub-mkrescue does, by xorriso, with the
// parts of GRUB that are here.
package iso

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/disk/bootcode"
	"github.com/gitboot/gitboot/disk/fat"
	"github.com/gitboot/gitboot/disk/scratch"
	"github.com/gitboot/gitboot/disk/tool"
)

// A Medium is what is made. Its files are by their paths on it, and where they are
// taken from.
type Medium struct {
	// Arch is the architecture that it boots.
	Arch, Label string
	// Time is that of the medium, by which it is found.
	Time  time.Time
	Files map[string]string
	// Config is GRUB's.
	Config string
}

// UUID is what a medium of a time is found by.
func UUID(at time.Time) string { return at.UTC().Format("2006-01-02-15-04-05") + "-00" }

// Installed reports which programs, or parts of GRUB, are not here for media of an
// architecture.
func Installed(arch string) error {
	programs := slices.Concat([]string{"xorriso"}, fat.Programs(), bootcode.Programs())
	return errors.Join(tool.Installed(programs...), bootcode.Installed(platforms(arch)...))
}

func platforms(arch string) []string {
	if arch == "amd64" {
		return []string{bootcode.BIOS, bootcode.UEFI(arch)}
	}
	return []string{bootcode.UEFI(arch)}
}

// Where things are on the medium.
const (
	folder   = "/boot/grub"
	biosBoot = "/boot/grub/bios.img"
	uefiBoot = "/boot/grub/efi.img"
	espSize  = 40 << 20
)

// Make writes the medium to a file; temp is a folder for what is needed meanwhile.
func (m Medium) Make(ctx context.Context, file, temp string) error {
	files := map[string]string{}
	for to, from := range m.Files {
		files[to] = from
	}
	dir, err := os.MkdirTemp(temp, "iso-")
	if err != nil {
		return err
	}
	if err := m.boots(ctx, files, dir); err != nil {
		return err
	}
	list := filepath.Join(dir, "list")
	if err := os.WriteFile(list, []byte(grafts(files)), 0o600); err != nil {
		return err
	}
	at := strings.ReplaceAll(UUID(m.Time), "-", "")
	args := []string{
		"-no_rc", "-as", "mkisofs", "-quiet", "-o", file,
		"-iso-level", "3", "-full-iso9660-filenames", "-R", "-uid", "0", "-gid", "0", "-V", m.Label,
		"--modification-date=" + at, "--set_all_file_dates", at,
	}
	if slices.Contains(platforms(m.Arch), bootcode.BIOS) {
		args = append(args, "-b", biosBoot, "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info", "--grub2-mbr", bootcode.Hybrid())
	}
	args = append(args, "--protective-msdos-label", "--efi-boot", uefiBoot, "-efi-boot-part", "--efi-boot-image", "-graft-points", "-path-list", list)
	_, _, err = tool.Run(ctx, m.Time, "", "xorriso", args...)
	return err
}

// boots adds what firmware starts, and GRUB's folder.
func (m Medium) boots(ctx context.Context, files map[string]string, dir string) error {
	for _, platform := range platforms(m.Arch) {
		put := func(core *os.File) (string, error) { return uefiBoot, m.esp(ctx, core, filepath.Join(dir, "efi.img")) }
		if platform == bootcode.BIOS {
			put = func(core *os.File) (string, error) { return biosBoot, save(core, filepath.Join(dir, "bios.img")) }
		}
		core, err := bootcode.Core{UUID: UUID(m.Time), Prefix: folder, Time: m.Time, CD: true}.Make(ctx, platform)
		if err != nil {
			return err
		}
		to, err := put(core)
		if err := errors.Join(err, core.Close()); err != nil {
			return err
		}
		files[to] = filepath.Join(dir, filepath.Base(to))
		modules, err := bootcode.Modules(platform)
		if err != nil {
			return err
		}
		for name, from := range modules {
			files[folder+"/"+platform+"/"+name] = from
		}
	}
	config := filepath.Join(dir, "grub.cfg")
	files[folder+"/grub.cfg"] = config
	return os.WriteFile(config, []byte(m.Config), 0o644)
}

// esp is what UEFI reads of the medium.
func (m Medium) esp(ctx context.Context, core *os.File, file string) error {
	fs := fat.Filesystem{ID: m.Time.UTC().Format("02150405"), Label: "GITBOOT", Time: m.Time, Files: map[string]string{bootcode.Removable(m.Arch): scratch.Path(core)}}
	made, err := fs.Make(ctx, espSize)
	if err != nil {
		return err
	}
	return errors.Join(save(made, file), made.Close())
}

func save(from *os.File, file string) error {
	info, err := from.Stat()
	if err != nil {
		return err
	}
	to, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.NewSectionReader(from, 0, info.Size()))
	return errors.Join(err, to.Close())
}

// grafts says for xorriso which file comes where.
func grafts(files map[string]string) string {
	escape := strings.NewReplacer(`\`, `\\`, "=", `\=`)
	var lines []string
	for to, from := range files {
		lines = append(lines, fmt.Sprintf("%s=%s\n", escape.Replace(to), escape.Replace(from)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}
