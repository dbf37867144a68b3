package grub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/copies"
	"github.com/gitboot/gitboot/boot/place"
	"github.com/gitboot/gitboot/deployment"
)

// Beside custom.cfg, a folder of ours takes the menu of a stage that GRUB cannot
// read, and copies of what the menu names.
const (
	besideDir  = "gitboot"
	besideMenu = "gitboot.cfg"
)

func (g *GRUB) beside() copies.Folder {
	return copies.Folder{Dir: filepath.Join(g.dir, besideDir), Stage: g.stage}
}

// A site is where GRUB finds the menu of a stage, and what that names: on the
// stage or, if that is not nil, in the folder that beside is.
type site struct {
	stage  boot.Filesystem
	beside *boot.Filesystem
	// unread is why, if that was looked for, nil if it is assembled.
	unread error
}

func (s site) copies() bool { return s.beside != nil }

// menu is the file of the menu, below a folder.
func (s site) menu() (fs boot.Filesystem, file string) {
	if s.copies() {
		return *s.beside, besideMenu
	}
	return s.stage, MenuFile
}

// noted begins the line by which is told, also where GRUB's folder is out of
// reach, that a menu is for a stage that GRUB cannot read.
const noted = "# GRUB cannot read the stage at "

// note is that line, which is in the menu and in our part of custom.cfg; none if
// GRUB reads the stage.
func (s site) note() []string {
	if !s.copies() {
		return nil
	}
	return []string{noted + at(s.stage) + ", so this and copies of its kernels lie at " + at(*s.beside)}
}

func at(fs boot.Filesystem) string { return "UUID=" + fs.UUID + ":" + fs.Path }

// linked finds the site of a stage whose menu custom.cfg sources.
func (g *GRUB) linked(ctx context.Context, stage boot.Filesystem) (site, bool, error) {
	c, err := g.read()
	if err != nil {
		return site{}, false, err
	}
	_, ours, _, err := split(c.data)
	if err != nil {
		return site{}, false, fmt.Errorf("read %s: %w", c.path, err)
	}
	s := site{stage: stage}
	if !bytes.Contains(ours, []byte("\n"+noted+at(stage)+", ")) {
		return s, string(ours) == s.block(), nil
	}
	if s.beside, err = g.findBeside(ctx); err != nil {
		return s, false, err
	}
	return s, string(ours) == s.block(), nil
}

// site finds where the menu of a stage lies or, if it is not linked, is to lie.
func (g *GRUB) site(ctx context.Context, stage boot.Filesystem) (s site, linked bool, err error) {
	if err := stage.Check(); err != nil {
		return s, false, err
	}
	if g.dir == "" {
		return site{stage: stage}, true, g.checkBooted()
	}
	if s, linked, err = g.linked(ctx, stage); err != nil || linked {
		return s, linked, err
	}
	unread := readable(ctx, stage)
	if unread == nil && stage.Assembly == "" || unread != nil && !errors.As(unread, new(*unreadError)) {
		return site{stage: stage}, false, unread
	}
	fs, err := g.findBeside(ctx)
	if unread == nil && err == nil && fs.UUID == stage.UUID {
		return site{stage: stage}, false, opens(stage)
	}
	// A stage that is assembled is left to process 1 where GRUB has a place of its own:
	// what comes late, or lacks, does not keep it from its menu.
	switch {
	case err != nil:
		return s, false, nowhere(unread, err)
	case fs.UUID == stage.UUID:
		return s, false, nowhere(unread, errors.New("that is on the same file system"))
	}
	return site{stage, fs, unread}, false, nil
}

// nowhere says why neither the stage nor copies of its kernels could be read.
func nowhere(unread, beside error) error {
	if unread == nil {
		return fmt.Errorf("copies of the stage's kernels cannot lie beside custom.cfg: %w", beside)
	}
	return fmt.Errorf("%w; nor can copies of its kernels lie beside custom.cfg: %w", unread, beside)
}

// opens refuses what GRUB would have to ask for a passphrase for, to get at its own
// folder.
func opens(stage boot.Filesystem) error {
	if slices.Contains(stage.Assembly.Kinds(), deployment.AssembleLUKS) {
		return fmt.Errorf("the stage on %s is encrypted, and so is custom.cfg; put /boot on a plain partition with ext4", stage.Device)
	}
	return nil
}

// readable reports why GRUB could not read a stage, a *unreadError if that is
// what its file system is like. Of a disk that is not here it is not known.
func readable(ctx context.Context, stage boot.Filesystem) error {
	if err := known(stage); err != nil || stage.Device == "" {
		return err
	}
	if err := checkReadable(ctx, stage.Type, stage.Device, grubReads); err != nil {
		return fmt.Errorf("the boot loader could not read the stage on %s: %w", stage.Device, err)
	}
	return nil
}

// findBeside finds the folder as GRUB does, which reads custom.cfg beside it.
func (g *GRUB) findBeside(ctx context.Context) (*boot.Filesystem, error) {
	if g.at == nil {
		fs, err := place.Of(ctx, g.dir)
		if err != nil {
			return nil, err
		}
		fs.Path = path.Join(fs.Path, besideDir)
		g.at = &fs
	}
	return g.at, known(*g.at)
}

// checkBooted refuses to write a menu that GRUB would not find: the stage's own
// is what was published, and says where.
func (g *GRUB) checkBooted() error {
	menu, err := readMenu(g.menuPath())
	if err != nil {
		return err
	}
	lines := slices.Collect(bytes.Lines(menu))
	i := slices.IndexFunc(lines, func(line []byte) bool { return bytes.HasPrefix(line, []byte(noted)) })
	if i < 0 {
		return nil
	}
	return fmt.Errorf("the boot menu lies on another file system: %s; mount that, and name the folder of custom.cfg there with --boot",
		bytes.TrimSpace(bytes.TrimPrefix(lines[i], []byte("# "))))
}
