package cut

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A filesystem is a kind of file system: how it is made, put right at boot, and
// mounted.
type filesystem struct {
	name string
	// share is how many of a hundred states are of this one: those of btrfs take
	// longest.
	share   int
	size    int64
	mkfs    []string
	fsck    []string
	options string
	// super is the superblock, for which the file system relies on the disk: there
	// is no other if half of it is written.
	super extent
	// block is how many sectors the file system relies on being written together or
	// not at all, 0 for one: XFS keeps a checksum of each block of a folder, and
	// refuses a folder in which half of one is of another time. That does not hold in
	// its journal, where journal says that this lies.
	block   int64
	journal func(super []byte) extent
	// uncounted is that GRUB cannot write there, and a new machine not have mode
	// managed.
	uncounted bool
	// forgets is that it remembers devices by their numbers, and has to be told that one
	// is another's.
	forgets bool
}

// xfsLog is where XFS has its log, in which each sector tells of which time it is, by
// the superblock (XFS Algorithms & Data Structures, "Superblocks").
func xfsLog(super []byte) extent {
	start, blocks := binary.BigEndian.Uint64(super[48:]), binary.BigEndian.Uint32(super[96:])
	group, bits := binary.BigEndian.Uint32(super[84:]), super[124]
	perBlock := int64(binary.BigEndian.Uint32(super[4:])) / sectorSize
	from := int64(start>>bits)*int64(group) + int64(start&(1<<bits-1))
	return extent{from * perBlock, (from + int64(blocks)) * perBlock}
}

// mounted mounts the image of a disk on a folder while do runs.
func (f filesystem) mounted(image *os.File, dir string, do func() error) (err error) {
	device, err := attach(image)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, device.Close()) }()
	return f.mountedFrom(device, dir, do)
}

// A refusal is that the kernel does not mount a disk.
type refusal struct{ error }

// mountedFrom is mounted of a device's.
func (f filesystem) mountedFrom(device *os.File, dir string, do func() error) (err error) {
	if f.forgets {
		if err := forget(device); err != nil {
			return err
		}
	}
	// btrfs does not let go at once of the state before, which has the same UUID.
	err = patiently(unix.EEXIST, func() error { return unix.Mount(device.Name(), dir, f.name, unix.MS_NOATIME, f.options) })
	if err != nil {
		return refusal{fmt.Errorf("mount %s: %w", device.Name(), err)}
	}
	defer func() { err = errors.Join(err, unmount(dir)) }()
	return do()
}

// forgetDevice is BTRFS_IOC_FORGET_DEV of linux/btrfs.h.
const forgetDevice = 0x50009405

// forget has btrfs forget what it has seen on a device of this number: that may have been
// another's, with a file system of several devices, which it goes on to be taken for as
// long as the UUID of this one is known from elsewhere.
func forget(device *os.File) error {
	control, err := os.OpenFile("/dev/btrfs-control", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer control.Close()
	var args struct { // btrfs_ioctl_vol_args
		fd   int64
		name [4088]byte
	}
	copy(args.name[:], device.Name())
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, control.Fd(), forgetDevice, uintptr(unsafe.Pointer(&args)))
	if errno != 0 && errno != unix.ENOENT {
		return fmt.Errorf("have btrfs forget %s: %w", device.Name(), errno)
	}
	return nil
}

// repair runs what the system runs at boot before it mounts. Its status 1 is that
// something was repaired.
func (f filesystem) repair(ctx context.Context, image string) error {
	if f.fsck == nil {
		return nil
	}
	out, err := exec.CommandContext(ctx, f.fsck[0], append(f.fsck[1:], image)...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", f.fsck[0], err, out)
	}
	return nil
}

// reread has a device's content read anew: its image was written to.
func reread(device *os.File) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, device.Fd(), unix.BLKFLSBUF, 0); errno != 0 {
		return fmt.Errorf("read %s anew: %w", device.Name(), errno)
	}
	return nil
}

// attach gives a loop device, which is gone when it is closed and no longer mounted.
func attach(image *os.File) (*os.File, error) {
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
		device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		config := unix.LoopConfig{Fd: uint32(image.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
		err = unix.IoctlLoopConfigure(int(device.Fd()), &config)
		if err == nil {
			return device, nil
		}
		device.Close()
		if !errors.Is(err, unix.EBUSY) { // another test was faster
			return nil, fmt.Errorf("attach %s: %w", device.Name(), err)
		}
	}
}

// busy is how long a file system may be: the kernel lets go of the files of a
// program that has ended a moment later.
const busy = 10 * time.Second

// unmount unmounts, while no other goroutine is starting a program: until that is
// executed, it has all files open that this process has.
func unmount(dir string) error {
	err := patiently(unix.EBUSY, func() error {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		return unix.Unmount(dir, 0)
	})
	if err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}

// patiently does something again as long as it fails by this, for a while.
func patiently(failure error, do func() error) error {
	deadline := time.After(busy)
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		err := do()
		if !errors.Is(err, failure) {
			return err
		}
		select {
		case <-again.C:
		case <-deadline:
			return err
		}
	}
}

// A tree is the files below a folder: their sha256 by path. of is that of all.
type tree struct {
	files map[string]string
	of    string
}

// hashes are the sha256 of contents, of each once: that of what is on all disks
// takes longer than to tell it apart.
type hashes struct {
	mu    sync.Mutex
	known map[sum]string
}

func (h *hashes) of(data []byte) string {
	key := sumOf(data)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known[key] == "" {
		s := sha256.Sum256(data)
		h.known[key] = hex.EncodeToString(s[:])
	}
	return h.known[key]
}

// walk reads all files of a mounted disk.
func (h *hashes) walk(dir string) (tree, error) {
	t, all := tree{files: map[string]string{}}, sha256.New()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name := path[len(dir):]
		fmt.Fprintf(all, "%s %s\n", name, info.Mode())
		if !info.Mode().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		t.files[name] = h.of(data)
		fmt.Fprintln(all, t.files[name])
		return nil
	})
	t.of = hex.EncodeToString(all.Sum(nil))
	return t, err
}
