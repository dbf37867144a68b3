package durable

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Superblock magics of statfs(2).
const (
	magicExt4 = 0xEF53 // ext2 and ext3 too
	magicXFS  = 0x58465342
)

// checkpointExt4 is EXT4_IOC_CHECKPOINT of linux/fs/ext4: everything in the
// journal is written to its place.
const checkpointExt4 = 0x4004662b

// SyncAll brings on the disk all that was written on dir's file system. A folder that is
// not there has nothing on it.
func SyncAll(dir string) error {
	f, err := os.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &os.PathError{Op: "sync", Path: dir, Err: err}
	}
	return nil
}

// Settle makes a boot loader see what was written on dir's file system. GRUB
// replays no journal: after a sync alone, a file's directory entry may still be
// in the journal only. ext4 empties its journal on request (Linux 5.14 and
// later); otherwise, and on XFS, only freezing the file system for a moment
// does.
//
// On other file systems, and where neither is allowed, it syncs, and left says
// why the journal was left as it is.
func Settle(dir string) (left, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fd := int(f.Fd())
	if err := unix.Syncfs(fd); err != nil {
		return nil, err
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return nil, fmt.Errorf("file system of %s: %w", dir, err)
	}
	return emptyJournal(fd, int64(st.Type)), nil
}

// Session names the time in which dir's file system is mounted as it is now. What was
// written in another one, and not synced, may be lost.
func Session(dir string) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	var st unix.Statx_t // the id of the mount, 0 of kernels before 6.8
	if err := unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_MNT_ID_UNIQUE, &st); err != nil {
		return "", &os.PathError{Op: "statx", Path: dir, Err: err}
	}
	return fmt.Sprintf("%s %d\n", bytes.TrimSpace(boot), st.Mnt_id), nil
}

func emptyJournal(fd int, magic int64) error {
	switch magic {
	case magicExt4:
		err := unix.IoctlSetPointerInt(fd, checkpointExt4, 0)
		switch {
		case errors.Is(err, unix.ENODEV): // there is no journal
			return nil
		case !errors.Is(err, unix.ENOTTY):
			return err
		}
	case magicXFS:
	default:
		return errors.New("this kind of file system needs no more, or allows no more")
	}
	return freezeForAMoment(fd)
}
