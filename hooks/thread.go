package hooks

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// onThread calls f on an operating system thread of its own, whose
// namespaces, umask and capabilities f may change: a process that f starts
// inherits them, and the thread ends with f.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			done <- f() // never unlocked, so the runtime ends the thread
			return
		}
		// The main thread is what others see of this process below /proc,
		// and it never ends: hold it while f runs elsewhere.
		err := onThread(f)
		runtime.UnlockOSThread()
		done <- err
	}()
	return <-done
}

// confine gives the calling thread a view of the file system in which only
// the writable directories can be written. It returns false if the kernel
// denies that, with nothing changed.
func confine(writable []string) (bool, error) {
	err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS)
	if err == nil {
		err = unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE,
			&unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY, Propagation: unix.MS_PRIVATE})
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return false, unix.Unshare(unix.CLONE_FS)
	}
	if err != nil {
		return false, fmt.Errorf("make the file system read-only for the script: %w", err)
	}
	for _, dir := range writable {
		if err := allowWrites(dir); err != nil {
			return false, fmt.Errorf("make %s writable for the script: %w", dir, err)
		}
	}
	// Only the capabilities of what this thread executes later are limited,
	// not its own.
	if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_ADMIN, 0, 0, 0); err != nil {
		return false, fmt.Errorf("drop CAP_SYS_ADMIN for the script: %w", err)
	}
	return true, nil
}

func allowWrites(dir string) error {
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return unix.MountSetattr(unix.AT_FDCWD, dir, 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
}
