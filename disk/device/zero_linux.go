package device

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// zeroOut has a disk write zeros itself (block devices' ioctl BLKZEROOUT).
func zeroOut(f *os.File, at, n int64) error {
	span := [2]uint64{uint64(at), uint64(n)}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKZEROOUT, uintptr(unsafe.Pointer(&span)))
	if errno != 0 {
		return errno
	}
	return nil
}
