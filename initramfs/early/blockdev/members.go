package blockdev

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// btrfsControl is where btrfs is asked, once its driver is there.
const btrfsControl = "/dev/btrfs-control"

// Whole shows btrfs, whose driver must be there, one device of a file system, and reports
// whether it has seen all that the file system has. Where it cannot be asked, mounting
// tells what is wrong.
func (d Device) Whole() bool {
	f, err := os.OpenFile(btrfsControl, os.O_RDWR, 0)
	if err != nil {
		return true
	}
	defer f.Close()
	const devicesReady = 0x90009427 // BTRFS_IOC_DEVICES_READY of include/uapi/linux/btrfs.h
	var args struct {
		_    int64
		name [4088]byte
	}
	copy(args.name[:len(args.name)-1], d.Path)
	lacks, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), devicesReady, uintptr(unsafe.Pointer(&args)))
	return errno != 0 || lacks == 0
}
