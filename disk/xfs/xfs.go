// Package xfs makes an XFS with files in it, in a part of a disk, without mounting
// anything: by mkfs.xfs, which lays out what a prototype lists (mkfs.xfs(8), -p), and
// xfs_db, which says where that lies. What files hold stays where it is: the prototype
// reserves room for it, and their inodes are changed here to have it.
//
// The features are those that GRUB 2.04 and kernel 4.16 know. All is root's, and of one
// time; the same content gives the same bytes.
package xfs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/scratch"
	"github.com/gitboot/gitboot/disk/tool"
	"github.com/gitboot/gitboot/disk/tree"
)

// Programs are those that this takes.
func Programs() []string { return []string{"mkfs.xfs", "xfs_db"} }

// InodePercent is how much of the file system inodes may take, of whatever size it is.
const InodePercent = 25

// newer are options without which a mkfs.xfs since a version takes features that GRUB
// does not know. Older ones know neither.
var newer = []struct {
	major, minor int
	options      []string
}{
	{5, 19, []string{"-i", "nrext64=0"}},
	{6, 10, []string{"-i", "exchange=0", "-n", "parent=0"}},
}

// Lay makes one in length bytes of a disk from an offset, and adds its pieces to those
// of the disk.
func Lay(ctx context.Context, s tree.Filesystem, disk *piece.List, offset, length int64) error {
	empty, err := scratch.New(length)
	if err != nil {
		return err
	}
	l := layer{Filesystem: s, empty: empty, disk: disk, offset: offset}
	if err = l.make(ctx); err == nil {
		err = l.layOut(ctx)
	}
	if err != nil {
		return errors.Join(err, empty.Close())
	}
	return disk.Written(offset, empty)
}

// make makes the file system, with room for what is in it.
func (l *layer) make(ctx context.Context) (err error) {
	text, err := l.prototype()
	if err != nil {
		return err
	}
	prototype, err := scratch.New(0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, prototype.Close()) }()
	if _, err := prototype.WriteString(text); err != nil {
		return err
	}
	args := []string{
		"-q", "-f", "-K", "-b", fmt.Sprint("size=", tree.BlockSize), "-s", "size=512", "-d", "agcount=4,noalign",
		"-m", "uuid=" + l.UUID + ",crc=1,finobt=1,rmapbt=0,reflink=1,bigtime=0,inobtcount=0", "-i", fmt.Sprintf("size=%d,maxpct=%d", inodeSize, InodePercent),
		"-L", l.Label, "-p", scratch.Path(prototype),
	}
	more, err := without(ctx)
	if err != nil {
		return err
	}
	_, _, err = tool.Run(ctx, l.Time, "", "mkfs.xfs", slices.Concat(args, more, []string{scratch.Path(l.empty)})...)
	return err
}

// without is what has the mkfs.xfs that is here leave out newer features.
func without(ctx context.Context) (options []string, err error) {
	said, _, err := tool.Run(ctx, time.Unix(0, 0), "", "mkfs.xfs", "-V")
	if err != nil {
		return nil, err
	}
	var major, minor int
	if _, err := fmt.Sscanf(said, "mkfs.xfs version %d.%d", &major, &minor); err != nil {
		return nil, fmt.Errorf("find out the version of mkfs.xfs: it says %.100q", said)
	}
	for _, n := range newer {
		if major > n.major || major == n.major && minor >= n.minor {
			options = append(options, n.options...)
		}
	}
	return options, nil
}

// prototype lists all that is in the file system.
func (l *layer) prototype() (string, error) {
	below := map[string][]string{}
	lines := map[string]string{}
	add := func(file, line string) error {
		name := path.Base(file)
		if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }) || strings.HasPrefix(name, "$") || strings.HasPrefix(name, ":") {
			return fmt.Errorf("the name %q cannot be said to mkfs.xfs; put it on ext4", file)
		}
		lines[file] = name + " " + line
		dir := path.Dir(file)
		below[dir] = append(below[dir], file)
		return nil
	}
	for _, f := range l.AllFolders() {
		if err := add(f.Path, fmt.Sprintf("d--%03o 0 0\n", f.Mode.Perm())); err != nil {
			return "", err
		}
	}
	for _, f := range l.Files {
		line := fmt.Sprintf("---%03o 0 0 /dev/null\n", f.Mode.Perm())
		if n := f.Bytes(); n > 0 {
			line = fmt.Sprintf("r--%03o 0 0 %d\n", f.Mode.Perm(), n)
		}
		if err := add(f.Path, line); err != nil {
			return "", err
		}
	}
	var b strings.Builder
	b.WriteString("/dev/null\n0 0\nd--755 0 0\n")
	var folder func(dir string)
	folder = func(dir string) {
		slices.Sort(below[dir])
		for _, file := range below[dir] {
			b.WriteString(lines[file])
			if strings.HasPrefix(lines[file], path.Base(file)+" d") {
				folder(file)
			}
		}
		b.WriteString("$\n")
	}
	folder("/")
	return b.String(), nil
}
