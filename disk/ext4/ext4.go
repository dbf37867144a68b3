// Package ext4 makes an ext4 file system with files in it, in a part of a disk, without
// mounting anything: by mke2fs, and by debugfs, which lays out folders and files. What
// files hold stays where it is: debugfs says where their blocks lie.
//
// The features are those that GRUB 2.04 and kernel 4.4 know, whatever mke2fs.conf(5)
// says. All is root's, and of one time; the same content gives the same bytes.
package ext4

import (
	"context"
	"errors"
	"strconv"

	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/scratch"
	"github.com/gitboot/gitboot/disk/tool"
	"github.com/gitboot/gitboot/disk/tree"
)

// Programs are those that this takes.
func Programs() []string { return []string{"mke2fs", "debugfs"} }

const (
	blockSize = tree.BlockSize
	features  = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
)

// Lay makes one in length bytes of a disk from an offset, and adds its pieces to those
// of the disk. What an older file system has left of its journal would be taken for its
// own, so that the place of that is to be empty.
func Lay(ctx context.Context, s tree.Filesystem, disk *piece.List, offset, length int64) (err error) {
	empty, err := scratch.New(length)
	if err != nil {
		return err
	}
	args := []string{
		"-q", "-F", "-b", strconv.Itoa(blockSize), "-I", "256", "-m", "0", "-O", features, "-U", s.UUID, "-L", s.Label,
		"-E", "hash_seed=" + s.Seed + ",lazy_itable_init=1,lazy_journal_init=1,nodiscard", scratch.Path(empty), strconv.FormatInt(length/1024, 10) + "k",
	}
	l := layer{Filesystem: s, empty: empty, disk: disk, offset: offset}
	if _, _, err = tool.Run(ctx, s.Time, "", "mke2fs", args...); err == nil {
		err = l.layOut(ctx)
	}
	if err != nil {
		return errors.Join(err, empty.Close())
	}
	if err := disk.Written(offset, empty); err != nil {
		return err
	}
	return l.place()
}
