package grub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/block"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/place"
	"github.com/gitboot/gitboot/deployment"
)

// An environment block of our own holds what is asked for once, and what is
// counted: the distribution's is out of reach where a deployment runs, and others
// write to it. These are its variables. What they say is within the first sector,
// unless images have names of more than seventy letters: GRUB writes the block in
// place, and a sector is whole or as it was.
const (
	blockFile = "gitboot.env"

	onceName   = deployment.BlockOnce
	tryingName = deployment.BlockTrying
	leftName   = block.Left
	goodName   = deployment.BlockGood
	badName    = block.Bad
)

// blockNames are all of them.
var blockNames = [...]string{onceName, tryingName, leftName, goodName, badName}

// espDir is the folder on the EFI system partition where the block lies if it can
// lie nowhere else.
const espDir = "EFI/gitboot"

// writes reports whether GRUB can change a file in place on a file system of the
// kernel's name, as save_env does with its environment block. It knows where the
// blocks of a file lie, and cannot where they are checksummed, compressed, or
// made of several devices'.
func writes(fstype string) bool {
	return slices.Contains([]string{"ext2", "ext3", "ext4", "xfs", "vfat"}, fstype)
}

// An envFile is our environment block: its file, the folder where GRUB finds it, and
// whether that is the stage's own.
type envFile struct {
	block.File
	folder  boot.Filesystem
	onStage bool
}

// Memory finds our environment block.
func (g *GRUB) Memory(ctx context.Context, stage boot.Filesystem) (loader.Memory, error) {
	s, _, err := g.site(ctx, stage)
	if err != nil {
		return nil, err
	}
	b, err := g.block(ctx, s)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// block finds where GRUB can write to a block of ours: beside the menu that it
// reads, else beside custom.cfg, else on the EFI system partition.
func (g *GRUB) block(ctx context.Context, s site) (*envFile, error) {
	at, file := s.menu()
	at.Path = path.Dir(path.Join(at.Path, file))
	unwritten := Writable(at)
	if unwritten == nil {
		return &envFile{block.File(filepath.Join(filepath.Dir(g.menuPaths(s)[0]), blockFile)), at, !s.copies()}, nil
	}
	if g.dir == "" {
		return nil, fmt.Errorf("%w; where it can lies in another system: mount that, and name the folder of custom.cfg there with --boot", unwritten)
	}
	if beside, err := g.findBeside(ctx); err == nil && beside.UUID != at.UUID && Writable(*beside) == nil {
		return &envFile{File: block.File(filepath.Join(g.beside().Dir, blockFile)), folder: *beside}, nil
	}
	esp := errors.New("there is none below /boot/efi, /efi or /boot")
	for _, dir := range g.espDirs() {
		b, err := blockIn(ctx, dir)
		if err == nil {
			return b, nil
		}
		esp = err
	}
	return nil, fmt.Errorf("%w, nor to %s, nor to an EFI system partition: %w; put /boot on a plain partition with ext4", unwritten, g.dir, esp)
}

// blockIn is the block in a folder that may come, if GRUB could write it.
func blockIn(ctx context.Context, dir string) (*envFile, error) {
	base := dir
	for {
		if _, err := os.Stat(base); err == nil {
			break
		}
		base = filepath.Dir(base)
	}
	at, err := place.Of(ctx, base)
	if err == nil {
		err = errors.Join(at.Check(), Writable(at))
	}
	if err != nil {
		return nil, err
	}
	rest, err := filepath.Rel(base, dir)
	if err != nil {
		return nil, err
	}
	at.Path = path.Join(at.Path, rest)
	return &envFile{File: block.File(filepath.Join(dir, blockFile)), folder: at}, nil
}

// espDirs are the folders of ours on EFI system partitions that are mounted where
// they usually are, seen from GRUB's own.
func (g *GRUB) espDirs() (dirs []string) {
	up := filepath.Dir(g.dir)
	for _, point := range []string{filepath.Join(up, "efi"), filepath.Join(filepath.Dir(up), "efi"), up} {
		if _, err := os.Stat(filepath.Join(point, "EFI")); err == nil {
			dirs = append(dirs, filepath.Join(point, espDir))
		}
	}
	return dirs
}

// Writable says why GRUB could not write to a file there, in place and behind the
// file system's back.
func Writable(at boot.Filesystem) error {
	switch {
	case at.Type != "" && !writes(at.Type):
		return fmt.Errorf("GRUB cannot write to %s, and so not note what it boots", at.Type)
	case at.Assembly != "" || at.Device != "" && mapped(at.Device):
		return fmt.Errorf("GRUB cannot write to %s, which is made of other devices, and so not note what it boots", cmp.Or(at.Device, at.UUID))
	}
	return nil
}

// mapped reports whether a device is LVM's, RAID's or an encrypted one, or a partition of
// such a one.
func mapped(device string) bool {
	real, err := filepath.EvalSymlinks(device)
	if err != nil {
		return false
	}
	sys, err := filepath.EvalSymlinks(filepath.Join("/sys/class/block", filepath.Base(real)))
	return err == nil && isMapped(sys)
}

// isMapped is mapped for a device's folder in sysfs, which is in that of the whole device
// if it is a partition.
func isMapped(sys string) bool {
	for _, kind := range []string{"dm", "md", "../dm", "../md"} {
		if _, err := os.Stat(filepath.Join(sys, kind)); err == nil {
			return true
		}
	}
	return false
}

// Location is where process 1 finds the block.
func (b *envFile) Location() deployment.Location {
	if b.onStage {
		return deployment.Location{}
	}
	return deployment.Location{Device: "UUID=" + b.folder.UUID, Path: path.Join(b.folder.Path, blockFile)}
}
