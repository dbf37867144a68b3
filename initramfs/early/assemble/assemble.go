// Package assemble makes the block devices on which the stage's file system lies, where
// that is on no plain disk or partition: a step at a time, each of the devices that are
// offered to it while they come, with what they themselves say and no program's help.
package assemble

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/disk/mdraid"
)

// classDir has a folder for each block device.
const classDir = "/sys/class/block"

// A device is a block device that is open for reading.
type device struct {
	*os.File
	name string // in classDir
	size int64
}

// open opens a block device by its name in classDir.
func open(name string) (*device, error) {
	f, err := os.Open(path(name))
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &device{File: f, name: name, size: size}, nil
}

func path(name string) string { return "/dev/" + strings.ReplaceAll(name, "!", "/") }

// number is the kernel's for a device.
func number(name string) (major, minor uint32, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path(name), &st); err != nil {
		return 0, 0, fmt.Errorf("looking at %s: %w", path(name), err)
	}
	return unix.Major(st.Rdev), unix.Minor(st.Rdev), nil
}

// MemberOf reports whether a device is a part of one of these arrays, by their UUIDs.
// Such a one is not taken for another device: half of a mirror may look like what is on
// the mirror, and one that was left behind has what was there some time ago.
func MemberOf(name string, arrays []string) bool {
	d, err := open(name)
	if err != nil {
		return false
	}
	defer d.Close()
	m, err := mdraid.Read(d, d.size)
	return err == nil && slices.Contains(arrays, m.UUID)
}
