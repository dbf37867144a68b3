package blockdev

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Mount mounts the file system on dir, which must be there. A journal is replayed
// even if that is read-only, unless the device itself can't be written.
func (d Device) Mount(dir string, flags uintptr) error {
	options, fallback := "", ""
	kind := d.FS.Type
	switch kind {
	case "btrfs":
		options, fallback = "subvolid=5", "subvolid=5,rescue=nologreplay"
	case "ext2", "ext3", "ext4":
		kind, fallback = "ext4", "noload"
	case "xfs":
		// a disk and its clone may both be there
		options, fallback = "nouuid", "nouuid,norecovery"
	case "vfat":
		// it has no modes: what is root's alone elsewhere would be everybody's to read
		// and to lock
		options, fallback = "umask=0077", "umask=0077"
	case "f2fs":
		fallback = "disable_roll_forward"
	}
	err := unix.Mount(d.Path, dir, kind, flags, options)
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) {
		err = unix.Mount(d.Path, dir, kind, flags|unix.MS_RDONLY, fallback)
	}
	if err != nil {
		return fmt.Errorf("mounting %s on %s as %s: %w", d.Path, dir, kind, err)
	}
	return nil
}
