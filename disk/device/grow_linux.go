package device

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/disk/tool"
)

// grow makes a partition's ext4 as large as the partition.
func (d *Device) grow(ctx context.Context, p gpt.Partition) error {
	if err := d.share(); err != nil { // who does it wants the disk for itself
		return err
	}
	if tool.Installed("resize2fs") != nil {
		return d.growMounted(p)
	}
	at := fmt.Sprintf("/proc/%d/fd/%d?offset=%d", os.Getpid(), d.file.Fd(), p.Start)
	_, _, err := tool.Run(ctx, time.Now(), "", "resize2fs", "-f", at, strconv.FormatInt(p.Length/1024, 10)+"k")
	return err
}

// growMounted has the kernel do it, where there is no program for it: an installation
// medium has none.
func (d *Device) growMounted(p gpt.Partition) (err error) {
	loop, err := d.loop(p)
	if err != nil {
		return fmt.Errorf("attach it to a loop device: %w", err)
	}
	defer func() { err = errors.Join(err, loop.Close()) }()
	dir, err := os.MkdirTemp("", "gitboot-grow-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	if err := unix.Mount(loop.Name(), dir, "ext4", unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, "noinit_itable"); err != nil {
		return fmt.Errorf("mount it: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(dir, 0)) }()
	root, err := os.Open(dir)
	if err != nil {
		return err
	}
	const resize = 0x40086610 // EXT4_IOC_RESIZE_FS, _IOW('f', 16, __u64) of fs/ext4/ext4.h
	blocks := uint64(p.Length / 4096)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, root.Fd(), resize, uintptr(unsafe.Pointer(&blocks)))
	if errno != 0 {
		err = fmt.Errorf("resize it: %w", errno)
	}
	return errors.Join(err, root.Close())
}

// loop is a part of the disk as a device, for as long as it is open.
func (d *Device) loop(p gpt.Partition) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, err
		}
		loop, err := os.OpenFile("/dev/loop"+strconv.Itoa(n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		info := unix.LoopInfo64{Offset: uint64(p.Start), Sizelimit: uint64(p.Length), Flags: unix.LO_FLAGS_AUTOCLEAR}
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{Fd: uint32(d.file.Fd()), Info: info})
		if err == nil {
			return loop, nil
		}
		loop.Close()
		if !errors.Is(err, unix.EBUSY) { // EBUSY: another was faster
			return nil, err
		}
	}
}
