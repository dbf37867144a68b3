package device

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/disk/tool"
	"github.com/gitboot/gitboot/disk/xfs"
	"github.com/gitboot/gitboot/initramfs/early/probe"
)

// grow makes a partition's file system as large as the partition.
func (d *Device) grow(ctx context.Context, p gpt.Partition) error {
	if err := d.share(); err != nil { // who does it wants the disk for itself
		return err
	}
	fs, ok := probe.Identify(io.NewSectionReader(d.file, p.Start, p.Length))
	if !ok {
		return errors.New("there is no file system in it that is known")
	}
	if fs.Type != "ext4" || tool.Installed("resize2fs") != nil {
		return d.growMounted(p, fs.Type)
	}
	at := fmt.Sprintf("/proc/%d/fd/%d?offset=%d", os.Getpid(), d.file.Fd(), p.Start)
	_, _, err := tool.Run(ctx, time.Now(), "", "resize2fs", "-f", at, strconv.FormatInt(p.Length/1024, 10)+"k")
	return err
}

// A resizer has the kernel make a file system larger that is mounted.
type resizer struct {
	options string
	grow    func(root *os.File, bytes uint64) unix.Errno
}

// resizers are by the kernel's names of file systems.
func resizers() map[string]resizer {
	return map[string]resizer{
		"ext4": {"noinit_itable", func(root *os.File, bytes uint64) unix.Errno {
			blocks := bytes / 4096
			return ioctl(root, 0x40086610, unsafe.Pointer(&blocks)) // EXT4_IOC_RESIZE_FS of fs/ext4/ext4.h
		}},
		"xfs": {"nouuid", func(root *os.File, bytes uint64) unix.Errno {
			size := struct {
				blocks       uint64
				inodePercent uint32
				_            uint32
			}{bytes / 4096, xfs.InodePercent, 0}
			return ioctl(root, 0x4010586e, unsafe.Pointer(&size)) // XFS_IOC_FSGROWFSDATA of fs/xfs/libxfs/xfs_fs.h
		}},
		"btrfs": {"", func(root *os.File, _ uint64) unix.Errno {
			var args struct { // struct btrfs_ioctl_vol_args of include/uapi/linux/btrfs.h
				_    int64
				name [4088]byte
			}
			copy(args.name[:], "max")
			return ioctl(root, 0x50009403, unsafe.Pointer(&args)) // BTRFS_IOC_RESIZE
		}},
	}
}

func ioctl(f *os.File, request uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(arg))
	return errno
}

// growMounted has the kernel do it, where there is no program for it, or none that
// does without: an installation medium has no program at all.
func (d *Device) growMounted(p gpt.Partition, kind string) (err error) {
	resizer, ok := resizers()[kind]
	if !ok {
		return fmt.Errorf("%s does not grow", kind)
	}
	loop, err := d.loop(p)
	if err != nil {
		return fmt.Errorf("attach it to a loop device: %w%s", err, asRoot(err))
	}
	defer func() { err = errors.Join(err, loop.Close()) }()
	dir, err := os.MkdirTemp("", "gitboot-grow-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	if err := unix.Mount(loop.Name(), dir, kind, unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, resizer.options); err != nil {
		return fmt.Errorf("mount it as %s: %w%s", kind, err, asRoot(err))
	}
	defer func() { err = errors.Join(err, unix.Unmount(dir, 0)) }()
	root, err := os.Open(dir)
	if err != nil {
		return err
	}
	if errno := resizer.grow(root, uint64(p.Length)); errno != 0 {
		err = fmt.Errorf("resize it: %w%s", errno, asRoot(errno))
	}
	return errors.Join(err, root.Close())
}

// asRoot is what to do about what only root may do.
func asRoot(err error) string {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return "; as root this can be done, or with a disk that is made as large as this one (--size)"
	}
	return ""
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
