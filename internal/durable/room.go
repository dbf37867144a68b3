package durable

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// FreeSpace returns the bytes that an unprivileged writer may still use on
// the file system that holds path.
func FreeSpace(path string) (int64, error) {
	free, _, err := space(path)
	return free, err
}

// Room is how much may be written on path's file system so that reserve bytes
// stay free, for whatever else lives there; 0 means a fiftieth of it, at most
// 128 MB.
func Room(path string, reserve int64) (int64, error) {
	free, total, err := space(path)
	if reserve == 0 {
		reserve = min(total/50, 128e6)
	}
	return max(free-reserve, 0), err
}

// NoInodes reports that no more files can be made on path's file system, whatever
// room it has. Some, such as btrfs, have no such bound.
func NoInodes(path string) bool {
	st, grows := growing(path)
	return grows && st.Files > 0 && st.Ffree == 0
}

// Full reports that nothing can be written on path's file system: it has no room, for
// nobody, or no inodes.
func Full(path string) bool {
	st, grows := growing(path)
	return grows && st.Blocks > 0 && st.Bfree == 0 || NoInodes(path)
}

// growing looks at a file system, if it is of a kind that is written to: those that are
// made once are full, and lack nothing.
func growing(path string) (st unix.Statfs_t, grows bool) {
	if unix.Statfs(path, &st) != nil {
		return st, false
	}
	switch uint32(st.Type) {
	case unix.ISOFS_SUPER_MAGIC, unix.SQUASHFS_MAGIC, unix.EROFS_SUPER_MAGIC_V1:
		return st, false
	}
	return st, true
}

func space(path string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, fmt.Errorf("free space of %s: %w", path, err)
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize, nil
}

// A Reserving reader ends with ENOSPC before what is written of it takes the last
// room of Dir's file system but Reserve (see Room): nobody knows before how large
// it becomes.
type Reserving struct {
	io.Reader
	Dir     string
	Reserve int64

	unseen int // bytes read since the room was looked at
}

// lookEvery is how often. What becomes of the bytes is hardly ever larger.
const lookEvery = 4 << 20

func (r *Reserving) Read(p []byte) (int, error) {
	if r.unseen >= lookEvery {
		r.unseen = 0
		room, err := Room(r.Dir, r.Reserve)
		if err == nil && room == 0 {
			err = fmt.Errorf("what is kept free of %s was reached: %w", r.Dir, unix.ENOSPC)
		}
		if err != nil {
			return 0, err
		}
	}
	n, err := r.Reader.Read(p)
	r.unseen += n
	return n, err
}
