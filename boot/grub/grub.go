package grub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/owned"
)

// A GRUB is an installed GRUB, and the menu of one stage.
type GRUB struct {
	// dir is the folder of custom.cfg, empty if GRUB itself is out of reach.
	dir   string
	stage string
	// at is where the folder beside custom.cfg lies, once it was found.
	at *boot.Filesystem
}

// Open finds GRUB's folder: dir or, if that is empty, /boot/grub or
// /boot/grub2. The stage is its folder.
func Open(dir, stage string) (*GRUB, error) {
	if dir != "" {
		return openFirst(stage, dir)
	}
	return openFirst(stage, "/boot/grub", "/boot/grub2")
}

func openFirst(stage string, dirs ...string) (*GRUB, error) {
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			if err := owned.Check(dir); err != nil {
				return nil, fmt.Errorf("find GRUB: %w", err)
			}
			return &GRUB{dir: dir, stage: stage}, nil
		}
	}
	return nil, fmt.Errorf("find GRUB: there is no folder %s; install GRUB, mount /boot, or say where custom.cfg belongs with --boot", strings.Join(dirs, " or "))
}

// OpenMade opens a folder that is made for a disk which is not here, where GRUB finds it
// at another place.
func OpenMade(dir, stage string, at boot.Filesystem) (*GRUB, error) {
	g, err := openFirst(stage, dir)
	if err == nil {
		at.Path = path.Join(at.Path, besideDir)
		g.at = &at
	}
	return g, err
}

// Booted is the GRUB that has booted a stage's running deployment: its menu is
// linked, and its own folder is another system's.
func Booted(stage string) *GRUB { return &GRUB{stage: stage} }

// Found reports whether Open would find GRUB's folder.
func Found(dir string) bool {
	_, err := Open(dir, "")
	return err == nil
}

// Dir returns the folder of custom.cfg.
func (g *GRUB) Dir() string { return g.dir }

// Check finds out whether GRUB reads what the stage lies on, or else a folder
// that can take copies. To ask it takes as long as an unchanged run; where the
// menu is linked, it was asked before.
func (g *GRUB) Check(ctx context.Context, stage boot.Filesystem) error {
	s, linked, err := g.site(ctx, stage)
	if err != nil || linked || !s.copies() {
		return err
	}
	if err := g.beside().Check(); err != nil {
		return nowhere(s.unread, err)
	}
	return nil
}

// modules has, for the file systems that a stage can be on, the module with
// which GRUB reads them. Without a type it is left to GRUB's list of file
// systems, fs.lst, to find the module.
var modules = map[string]string{
	"ext2": "ext2", "ext3": "ext2", "ext4": "ext2",
	"xfs": "xfs", "btrfs": "btrfs", "vfat": "fat", "f2fs": "f2fs",
}

func known(fs boot.Filesystem) error {
	if fs.Type != "" && modules[fs.Type] == "" {
		return &unreadError{fstype: fs.Type}
	}
	return fs.Check()
}

// Sourced reports whether the distribution's grub.cfg sources custom.cfg, as
// GRUB's 41_custom makes it do. Without that the menu is never seen.
func Sourced(g *GRUB) (bool, error) {
	data, err := os.ReadFile(filepath.Join(g.dir, "grub.cfg"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return bytes.Contains(data, []byte("/custom.cfg")), err
}

// others are what boots something: the commands of entries, and the one that makes
// entries of files.
var others = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?m)^\s*(linux|linux16|linuxefi|blscfg|chainloader|multiboot2?)\b`)
})

// Others tells of entries that boot another system, and of the one that grub-reboot has
// asked the distribution's menu for. From a deployment that runs they cannot be seen,
// nor asked for.
func (g *GRUB) Others() loader.Others {
	if g.dir == "" {
		return loader.Others{}
	}
	data, err := os.ReadFile(filepath.Join(g.dir, "grub.cfg"))
	return loader.Others{Known: err == nil, None: err == nil && !others().Match(data), Asked: asked(g.dir)}
}

// Linked reports whether custom.cfg sources the menu of this stage.
func (g *GRUB) Linked(ctx context.Context, stage boot.Filesystem) (bool, error) {
	if g.dir == "" {
		return true, nil
	}
	_, linked, err := g.linked(ctx, stage)
	return linked, err
}

// Link makes custom.cfg source the menu of this stage and of no other. If it
// does already, nothing is written.
func (g *GRUB) Link(ctx context.Context, stage boot.Filesystem) error {
	s, linked, err := g.site(ctx, stage)
	if err != nil {
		return fmt.Errorf("link the boot menu: %w", err)
	}
	if g.dir == "" {
		return nil
	}
	if !linked {
		c, err := g.read()
		if err != nil {
			return err
		}
		data, err := withBlock(c.data, s.block())
		if err != nil {
			return fmt.Errorf("link the boot menu into %s: %w", c.path, err)
		}
		if err := c.publish(data); err != nil {
			return err
		}
	}
	if s.copies() {
		return nil
	}
	return g.beside().Remove(besideMenu) // of a stage that was linked before
}

// Unlink takes our lines out of custom.cfg, and removes the file if there was
// nothing else in it, and the folder beside it.
func (g *GRUB) Unlink() error {
	if g.dir == "" {
		return errors.New("unlink the boot menu: GRUB's folder is not this system's; do it in the system that has it")
	}
	c, err := g.read()
	if err != nil {
		return err
	}
	before, ours, after, err := split(c.data)
	if err != nil {
		return fmt.Errorf("unlink the boot menu from %s: %w", c.path, err)
	}
	if ours == nil {
		return nil
	}
	if rest := append(bytes.Clone(before), after...); len(rest) > 0 {
		err = c.publish(rest)
	} else {
		err = durable.Remove(c.path)
	}
	if err != nil {
		return err
	}
	for _, dir := range g.espDirs() {
		if err := durable.Remove(filepath.Join(dir, blockFile)); err != nil {
			return err
		}
	}
	return g.beside().Remove(besideMenu, blockFile)
}
