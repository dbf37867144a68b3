package early

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// loopControl hands out loop devices.
const loopControl = "/dev/loop-control"

// attach puts a file behind a loop device, read-only, which the kernel frees
// with its last user. The returned file keeps it until it is mounted.
func attach(name string) (*os.File, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	control, err := os.OpenFile(loopControl, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("asking for a loop device: %w", err)
		}
		loop, err := os.OpenFile("/dev/loop"+strconv.Itoa(n), os.O_RDONLY, 0)
		if err != nil {
			return nil, err
		}
		err = configure(int(loop.Fd()), int(file.Fd()))
		if err == nil {
			return loop, nil
		}
		loop.Close()
		if !errors.Is(err, unix.EBUSY) { // EBUSY: another was faster
			return nil, fmt.Errorf("attaching %s to %s: %w", name, loop.Name(), err)
		}
	}
}

func configure(loop, file int) error {
	info := unix.LoopInfo64{Flags: unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR}
	err := unix.IoctlLoopConfigure(loop, &unix.LoopConfig{Fd: uint32(file), Info: info})
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTTY) {
		return err
	}
	// Linux before 5.8
	if err := unix.IoctlSetInt(loop, unix.LOOP_SET_FD, file); err != nil {
		return err
	}
	return unix.IoctlLoopSetStatus64(loop, &info)
}
