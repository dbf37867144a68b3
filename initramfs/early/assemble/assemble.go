// Package assemble makes the block devices on which the stage's file system lies, where
// that is on no plain disk or partition: a step at a time, each of the devices that are
// offered to it while they come, with what they themselves say and no program's help.
package assemble

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
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

// holders are the devices that are made of one already. Such a one is not taken for
// another: half of a mirror may look like what is on the mirror.
func holders(name string) []string {
	entries, _ := os.ReadDir(filepath.Join(classDir, name, "holders"))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names
}
