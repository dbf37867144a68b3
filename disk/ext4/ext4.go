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
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/scratch"
	"github.com/gitboot/gitboot/disk/tool"
)

// Programs are those that this takes.
func Programs() []string { return []string{"mke2fs", "debugfs"} }

const (
	blockSize = 4096
	features  = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
)

// A Filesystem is what is made. Paths in it are absolute.
type Filesystem struct {
	UUID, Label string
	// Seed is a UUID that decides in which order large folders are read.
	Seed string
	// Time is that of all files.
	Time    time.Time
	Folders []Folder
	Files   []File
}

// A Folder is one in the file system.
type Folder struct {
	Path string
	Mode fs.FileMode
}

// A File is one in the file system, and what it is made of: Size bytes of a file of
// this computer, or Text if Source is "".
type File struct {
	Path, Source string
	Size         int64
	Text         []byte
	Mode         fs.FileMode
}

func (f File) size() int64 {
	if f.Source == "" {
		return int64(len(f.Text))
	}
	return f.Size
}

func (f File) blocks() int64 { return (f.size() + blockSize - 1) / blockSize }

// Room is how many bytes the files take there, without what the file system takes
// itself.
func (s Filesystem) Room() (n int64) {
	for _, f := range s.Files {
		n += f.blocks() * blockSize
	}
	return n + int64(len(s.Files)+len(s.Folders))*blockSize
}

// Lay makes it in length bytes of a disk from an offset, and adds its pieces to those
// of the disk. What an older file system has left of its journal would be taken for its
// own, so that the place of that is to be empty.
func (s Filesystem) Lay(ctx context.Context, disk *piece.List, offset, length int64) (err error) {
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

// folders are all that there are to be, parents first; those that were not named
// are for root alone.
func (s Filesystem) folders() []Folder {
	modes := map[string]fs.FileMode{}
	add := func(dir string) {
		for ; dir != "/" && dir != "."; dir = path.Dir(dir) {
			if _, ok := modes[dir]; !ok {
				modes[dir] = 0o700
			}
		}
	}
	for _, f := range s.Files {
		add(path.Dir(f.Path))
	}
	for _, f := range s.Folders {
		add(f.Path)
	}
	for _, f := range s.Folders {
		modes[f.Path] = f.Mode
	}
	all := make([]Folder, 0, len(modes))
	for p, mode := range modes {
		all = append(all, Folder{p, mode})
	}
	slices.SortFunc(all, func(a, b Folder) int { return strings.Compare(a.Path, b.Path) })
	return all
}
