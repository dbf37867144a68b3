package ledger

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/initramfs/early/blockdev"
)

// apartDir is where something is mounted that nobody else sees.
const apartDir = "/run/gitboot/mount"

// apart does something in the top folder of a device's file system, mounted for
// that alone.
func (l Ledger) apart(d blockdev.Device, do func(dir string) error) error {
	return l.aside(d, 0, do)
}

// aside is apart, mounted with more flags.
func (l Ledger) aside(d blockdev.Device, flags uintptr, do func(dir string) error) error {
	d.Path = l.Root + d.Path
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with it, and so do its mounts
		done <- apart(d, flags, do)
	}()
	return <-done
}

func apart(d blockdev.Device, more uintptr, do func(dir string) error) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("having mounts of its own: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("having mounts of its own: %w", err)
	}
	if err := os.MkdirAll(apartDir, 0o700); err != nil {
		return err
	}
	flags := unix.MS_NODEV | unix.MS_NOSUID | unix.MS_NOEXEC | more
	err := d.Mount(apartDir, flags)
	if !errors.Is(err, unix.EBUSY) {
		if err != nil {
			return err
		}
		return errors.Join(do(apartDir), unix.Unmount(apartDir, 0))
	}
	// it is mounted read-only elsewhere, and cannot be both
	if err := d.Mount(apartDir, flags|unix.MS_RDONLY); err != nil {
		return err
	}
	if err := unix.Mount("", apartDir, "", unix.MS_REMOUNT|flags, ""); err != nil {
		return fmt.Errorf("making %s writable: %w", d.Path, err)
	}
	return errors.Join(do(apartDir), unix.Mount("", apartDir, "", unix.MS_REMOUNT|unix.MS_RDONLY|flags, ""), unix.Unmount(apartDir, 0))
}
