package xfs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/scratch"
	"github.com/gitboot/gitboot/disk/tool"
	"github.com/gitboot/gitboot/disk/tree"
)

// A layer is files that are being put into a file system that was made.
type layer struct {
	tree.Filesystem
	// empty is it without what files hold.
	empty  *os.File
	disk   *piece.List
	offset int64
	shape
}

// A shape is what says where something is (struct xfs_dsb of the kernel's
// fs/xfs/libxfs/xfs_format.h).
type shape struct {
	// agblocks are the blocks of an allocation group; the others are logarithms, of
	// them and of the inodes of a block.
	agblocks, agblklog, inopblog int64
	// rbmino and rsumino are inodes of the file system's own.
	rbmino, rsumino int64
}

// A place is an inode, and the blocks of its file.
type place struct {
	inode   int64
	extents []extent
}

// An extent is blocks of a file that lie side by side, of an allocation group.
type extent struct{ logical, group, block, length int64 }

// layOut has inodes be as they are to be, and adds what files hold.
func (l *layer) layOut(ctx context.Context) error {
	folders := l.AllFolders()
	paths := []string{"/"}
	for _, f := range folders {
		paths = append(paths, f.Path)
	}
	for _, f := range l.Files {
		paths = append(paths, f.Path)
	}
	places, err := l.find(ctx, paths)
	if err != nil {
		return err
	}
	for _, inode := range []int64{l.rbmino, l.rsumino} {
		if err := l.change(inode, l.dated); err != nil {
			return err
		}
	}
	for i, p := range places {
		if i <= len(folders) {
			err = l.change(p.inode, l.dated)
		} else {
			err = l.put(l.Files[i-len(folders)-1], p)
		}
		if err != nil {
			return fmt.Errorf("put %s onto the disk: %w", paths[i], err)
		}
	}
	return nil
}

// put has a file's inode have what it holds, and adds that.
func (l *layer) put(f tree.File, p place) error {
	left := f.Bytes()
	if err := l.change(p.inode, func(i inode) error { return errors.Join(i.hold(left), l.dated(i)) }); err != nil {
		return err
	}
	for _, e := range p.extents {
		n, from, at := min(left, e.length*tree.BlockSize), e.logical*tree.BlockSize, (e.group*l.agblocks+e.block)*tree.BlockSize
		if err := unix.Fallocate(int(l.empty.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, e.length*tree.BlockSize); err != nil {
			return err // what mkfs.xfs has written there is not to lie there twice
		}
		to := l.offset + at
		if f.Source != "" {
			l.disk.File(to, f.Source, from, n)
		} else {
			l.disk.Text(to, f.Text[from:from+n])
		}
		left -= n
	}
	if left > 0 {
		return errors.New("there are too few blocks for it")
	}
	return nil
}

// find asks xfs_db where paths are, and what the file system is like.
func (l *layer) find(ctx context.Context, paths []string) ([]place, error) {
	var script strings.Builder
	script.WriteString("sb 0\nprint agblocks agblklog inopblog rbmino rsumino\n")
	for _, p := range paths {
		fmt.Fprintf(&script, "echo @ %[1]s\npath %[1]s\ninode\nbmap\n", p)
	}
	out, complaints, err := tool.Run(ctx, l.Time, script.String(), "xfs_db", "-r", "-f", scratch.Path(l.empty))
	if err != nil {
		return nil, err
	}
	if complaints = strings.TrimSpace(complaints); complaints != "" {
		return nil, fmt.Errorf("xfs_db: %.200s", complaints)
	}
	places, err := l.parse(out)
	if err == nil && (len(places) != len(paths) || l.agblocks == 0) {
		err = fmt.Errorf("xfs_db tells of %d of %d files", len(places), len(paths))
	}
	return places, err
}

// parse reads what a script's commands print.
func (l *layer) parse(out string) (places []place, err error) {
	numbers := map[string]*int64{"agblocks": &l.agblocks, "agblklog": &l.agblklog, "inopblog": &l.inopblog, "rbmino": &l.rbmino, "rsumino": &l.rsumino}
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		line := lines.Text()
		name, value, _ := strings.Cut(line, " = ")
		switch {
		case numbers[name] != nil:
			_, err = fmt.Sscan(value, numbers[name])
		case strings.HasPrefix(line, "@ "):
			places = append(places, place{})
		case len(places) == 0:
		case strings.HasPrefix(line, "current inode number is "):
			_, err = fmt.Sscanf(line, "current inode number is %d", &places[len(places)-1].inode)
		case strings.HasPrefix(line, "data offset "):
			var e extent
			var whole int64
			_, err = fmt.Sscanf(line, "data offset %d startblock %d (%d/%d) count %d", &e.logical, &whole, &e.group, &e.block, &e.length)
			at := &places[len(places)-1]
			at.extents = append(at.extents, e)
		}
		if err != nil {
			return nil, fmt.Errorf("xfs_db: %.100q: %w", line, err)
		}
	}
	return places, lines.Err()
}
