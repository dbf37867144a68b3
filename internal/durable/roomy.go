package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A roomy folder has been made for so many names, each as long as a hash.
const (
	roomyNames  = 512
	roomyLength = 64
)

// longest is how long a name can be, and entryHead what ext4 notes of each besides.
const (
	longest   = 255
	entryHead = 8
)

// Roomy makes a folder one whose names stay where they are when others come. A boot
// loader, which replays no journal, may see the place that names have left and not
// yet the one that they went to: what was in the folder before is gone for it until
// the file system is mounted. File systems other than ext4 and XFS have no such
// moment, and are left as they are, as is a folder that is roomy already.
func Roomy(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("file system of %s: %w", dir, err)
	}
	switch int64(st.Type) {
	case magicExt4:
		return roomyExt4(dir)
	case magicXFS:
		return roomyXFS(dir)
	}
	return nil
}

// roomyExt4 makes a folder as large as it needs to be for hundreds of hashes, so that
// it does not grow when they come: when it does, ext4 moves half of a block's names to
// a new one. ext4 does not make a folder smaller again. What a cut leaves has
// temporary names.
func roomyExt4(dir string) (err error) {
	info, err := os.Stat(dir)
	if err != nil || info.Size() >= roomyNames*roomyLength {
		return err
	}
	f, err := Create(dir, 0o600)
	if err != nil {
		return err
	}
	defer f.Discard()
	names := make([]string, roomyNames*(roomyLength+entryHead)/(longest+entryHead)) // as much of fewer: each costs
	for i := range names {
		name := fmt.Sprintf("%sroom-%d-", TempPrefix, i)
		names[i] = filepath.Join(dir, name+strings.Repeat("0", longest-len(name)))
	}
	defer func() {
		for _, name := range names {
			if gone := os.Remove(name); !errors.Is(gone, os.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
		err = errors.Join(err, SyncDir(dir))
	}()
	for _, name := range names {
		if err := os.Link(f.Name(), name); err != nil {
			return err
		}
	}
	return SyncDir(dir)
}

// roomAttr is an attribute that takes the room of names in a folder's inode, where XFS
// keeps some 300 bytes of both by default.
const (
	roomAttr     = "user.gitboot.room"
	roomAttrSize = 200
)

// roomyXFS has a folder keep its names in a block from the second hash on. XFS keeps
// those of four in the inode, and moves them when there is a fifth, or back; in a
// folder of shorter names, whenever one comes for a moment.
func roomyXFS(dir string) error {
	size, err := unix.Getxattr(dir, roomAttr, nil)
	if err == nil && size >= roomAttrSize {
		return nil
	}
	// A name that takes them out first: the room may be theirs now, and the attribute
	// would go to a block instead.
	out := filepath.Join(dir, TempPrefix+strings.Repeat("0", longest-len(TempPrefix)))
	if err := os.WriteFile(out, nil, 0o600); err != nil {
		return err
	}
	err = unix.Setxattr(dir, roomAttr, make([]byte, roomAttrSize), 0)
	if err != nil {
		err = &os.PathError{Op: "setxattr", Path: dir, Err: err}
	}
	return errors.Join(err, Remove(out))
}
