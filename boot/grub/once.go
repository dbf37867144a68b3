package grub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/grub/env"
	"github.com/gitboot/gitboot/internal/durable"
)

// An environment block of our own, beside the menu, holds the entry that is to
// boot once: the distribution's is out of reach where a deployment runs, and
// others write to it. The menu takes the entry out before it makes it the
// default; where GRUB cannot write that, it does not choose it.
const (
	blockFile = "gitboot.env"
	onceName  = "gitboot_once"
)

// writes are the file systems on which GRUB can write to a block. It does so in
// place, behind the file system's back: what keeps checksums of data, or maps
// blocks to more than one device, it refuses.
var writes = []string{"ext2", "ext3", "ext4", "xfs", "vfat"}

// CheckOnce says why GRUB could not write to the block that is beside the menu of
// a stage.
func (g *GRUB) CheckOnce(ctx context.Context, stage boot.Filesystem) error {
	s, _, err := g.site(ctx, stage)
	if err != nil {
		return err
	}
	at, _ := s.menu()
	switch {
	case at.Type != "" && !slices.Contains(writes, at.Type):
		return fmt.Errorf("GRUB cannot write to %s, so that an entry that is asked for once would boot for ever; choose it in the boot menu instead", at.Type)
	case at.Device != "" && mapped(at.Device):
		return fmt.Errorf("GRUB cannot write to %s, which is made of other devices, so that an entry that is asked for once would boot for ever; choose it in the boot menu instead", at.Device)
	}
	return nil
}

// mapped reports whether a device is LVM's, RAID's or an encrypted one.
func mapped(device string) bool {
	real, err := filepath.EvalSymlinks(device)
	if err != nil {
		return false
	}
	for _, kind := range []string{"dm", "md"} {
		if _, err := os.Stat(filepath.Join("/sys/class/block", filepath.Base(real), kind)); err == nil {
			return true
		}
	}
	return false
}

// block is the block's file, where the menu that GRUB reads is.
func (g *GRUB) block(ctx context.Context, stage boot.Filesystem) (string, error) {
	s, _, err := g.site(ctx, stage)
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(g.menuPaths(s)[0]), blockFile), nil
}

// Once returns the entry that boots next and only then, "" if there is none.
func (g *GRUB) Once(ctx context.Context, stage boot.Filesystem) (id string, err error) {
	path, err := g.block(ctx, stage)
	if err != nil {
		return "", err
	}
	b, err := readBlock(path)
	if err != nil {
		return "", err
	}
	id, _ = b.Get(onceName)
	return id, nil
}

// readBlock reads a block; there is nothing in one that is not there.
func readBlock(path string) (*env.Block, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return new(env.Block), nil
	}
	if err != nil {
		return nil, err
	}
	b, err := env.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w; remove the file", path, err)
	}
	return b, nil
}

// SetOnce has an entry boot next, and only then. When it returns, GRUB finds it.
func (g *GRUB) SetOnce(ctx context.Context, stage boot.Filesystem, id string) error {
	path, err := g.block(ctx, stage)
	if err != nil {
		return err
	}
	b, err := readBlock(path)
	if err != nil {
		b = new(env.Block) // GRUB could not read it either
	}
	switch was, _ := b.Get(onceName); {
	case err == nil && was == id:
		return nil
	case id == "":
		b.Unset(onceName)
	default:
		if err := b.Set(onceName, id); err != nil {
			return err
		}
	}
	data, err := b.Marshal()
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := durable.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	_, err = durable.Settle(filepath.Dir(path))
	return err
}

// once makes an entry the default if it is asked for, and that can be taken back.
// grub.cfg sets boot_once when next_entry asked for another.
func (w *script) once(id string) {
	for _, line := range []string{
		"",
		"# What is asked for once is chosen only if it is not asked for again.",
		`if [ "${boot_once}" != "true" ]; then`,
		"  unset " + onceName,
		"  load_env -f " + w.blockPath() + " " + onceName,
		`  if [ "${` + onceName + `}" = ` + quote(id) + ` ]; then`,
		"    set " + onceName + "=",
		"    if save_env -f " + w.blockPath() + " " + onceName + "; then",
		"      set default=" + quote(id),
		"    fi",
		"  fi",
		"  unset " + onceName,
		"fi",
	} {
		w.line("%s", line)
	}
}
