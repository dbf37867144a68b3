// Package btrfs makes a btrfs with files in it, in a part of a disk, without mounting
// anything: mkfs.btrfs copies a folder. Its files have to be root's, and are, for who
// has a user namespace in which it is root.
//
// GRUB reads it and cannot write on it. The UUIDs of its parts are random, and inodes
// have the numbers that the copied files have here, so that the same content gives other
// bytes each time.
package btrfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/tool"
	"github.com/gitboot/gitboot/disk/tree"
)

// Programs are those that this takes.
func Programs() []string { return []string{"mkfs.btrfs"} }

// Lay makes one in length bytes of a disk from an offset, and adds its pieces to those
// of the disk. Files are copied into temp, and the file system lies there until the
// disk is closed.
func Lay(ctx context.Context, s tree.Filesystem, disk *piece.List, offset, length int64, temp string) error {
	image, err := os.CreateTemp(temp, "btrfs-")
	if err != nil {
		return err
	}
	if err := errors.Join(image.Truncate(length), fill(ctx, s, image.Name(), temp), os.Remove(image.Name())); err != nil {
		return errors.Join(err, image.Close())
	}
	return disk.Written(offset, image)
}

func fill(ctx context.Context, s tree.Filesystem, image, temp string) (err error) {
	dir, err := os.MkdirTemp(temp, "tree-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := copied(ctx, s, dir); err != nil {
		return err
	}
	_, _, err = tool.RunAsRoot(ctx, s.Time, "mkfs.btrfs", "-q", "-f", "-K", "-d", "single", "-m", "dup", "-U", s.UUID, "-L", s.Label, "--rootdir", dir, image)
	return err
}

// copied has all that is to be in it in a folder.
func copied(ctx context.Context, s tree.Filesystem, dir string) error {
	folders := s.AllFolders()
	for _, f := range folders {
		if err := os.Mkdir(filepath.Join(dir, f.Path), 0o700); err != nil {
			return err
		}
	}
	for _, f := range s.Files {
		if err := one(ctx, f, filepath.Join(dir, f.Path)); err != nil {
			return fmt.Errorf("copy %s for mkfs.btrfs: %w", f.Path, err)
		}
	}
	for _, f := range s.Files {
		if err := dated(s, filepath.Join(dir, f.Path), f.Mode); err != nil {
			return err
		}
	}
	for i := range folders { // what changes in one changes its time
		f := folders[len(folders)-1-i]
		if err := dated(s, filepath.Join(dir, f.Path), f.Mode); err != nil {
			return err
		}
	}
	return dated(s, dir, 0o755)
}

func dated(s tree.Filesystem, path string, mode os.FileMode) error {
	return errors.Join(os.Chmod(path, mode), os.Chtimes(path, s.Time, s.Time))
}

// one copies a file; the kernel shares its blocks where it can.
func one(ctx context.Context, f tree.File, to string) (err error) {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if f.Source == "" {
		_, err := out.Write(f.Text)
		return err
	}
	in, err := os.Open(f.Source)
	if err != nil {
		return err
	}
	defer in.Close()
	for left := f.Size; left > 0 && err == nil; {
		var n int64
		if n, err = io.CopyN(out, in, min(left, part)); err == nil {
			err = context.Cause(ctx)
		}
		left -= n
	}
	return err
}

// part is how much is copied before somebody may end it.
const part = 64 << 20
