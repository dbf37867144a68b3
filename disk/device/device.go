// Package device writes a disk that was made onto one that is there. It refuses what
// somebody uses, erases the old partition table first and writes the new one last, so
// that what was cut short boots nothing, and reads all of it back.
//
// Whether a disk is in use is the kernel's to say: it is opened for itself alone
// (open(2), O_EXCL on block devices), which fails while any of its partitions is
// mounted, swapped to, or part of another device. What a system was started from that
// runs from memory is in nobody's use, and is known by what the kernel was told of it.
package device

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
)

// A Device is what is written to: a whole disk, or a plain file in place of one.
type Device struct {
	// Path is what was named, Name what the kernel calls it.
	Path, Name string
	Size       int64
	// Model and Serial are what it says of itself, "" if nothing.
	Model, Serial string
	// Table is its partition table, the zero one if it has none.
	Table gpt.Table
	plain bool
	real  string
	file  *os.File
}

// A RefusedError says why a device is not written to.
type RefusedError struct{ Path, Why, Remedy string }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s %s; %s", plain.Visible(e.Path), e.Why, e.Remedy)
}

// Open opens a disk for whoever writes to it, and for nobody else meanwhile.
func Open(path string) (*Device, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("open the disk: %w", err)
	}
	info, err := os.Stat(real)
	if err != nil {
		return nil, fmt.Errorf("open the disk: %w", err)
	}
	d := &Device{Path: path, Name: filepath.Base(real), real: real, plain: info.Mode().IsRegular()}
	flags := os.O_RDWR
	if !d.plain {
		if err := whole(path, real, info); err != nil {
			return nil, err
		}
		flags |= unix.O_EXCL
	}
	d.file, err = os.OpenFile(real, flags, 0)
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, &RefusedError{path, "is in use" + usedAs(real), "unmount it, swapoff it, or take apart what it is part of, and write then"}
	case errors.Is(err, unix.EROFS), errors.Is(err, unix.EPERM):
		return nil, &RefusedError{path, "cannot be written to", "it is read-only: look for a switch on it, or take another"}
	case err != nil:
		return nil, fmt.Errorf("open the disk: %w", err)
	}
	if err := errors.Join(d.look(), d.checkStarted()); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// whole refuses what is no whole disk.
func whole(path, real string, info os.FileInfo) error {
	if info.Mode()&os.ModeDevice == 0 || info.Mode()&os.ModeCharDevice != 0 {
		return &RefusedError{path, "is neither a disk nor a plain file", "name a disk as `lsblk` lists it, such as /dev/sdb"}
	}
	sys := filepath.Join("/sys/class/block", filepath.Base(real))
	if _, err := os.Stat(filepath.Join(sys, "partition")); err == nil {
		parent := "a disk"
		if dir, err := filepath.EvalSymlinks(sys); err == nil {
			parent = "/dev/" + filepath.Base(filepath.Dir(dir))
		}
		return &RefusedError{path, "is a partition of " + parent, "a disk is written as a whole: name that"}
	}
	for _, kind := range []string{"dm", "md"} {
		if _, err := os.Stat(filepath.Join(sys, kind)); err == nil {
			return &RefusedError{path, "is made of other devices", "name a disk"}
		}
	}
	return nil
}

// look finds out what it is, and what is on it.
func (d *Device) look() (err error) {
	if d.Size, err = d.file.Seek(0, 2); err != nil {
		return fmt.Errorf("find out the size of %s: %w", d.Path, err)
	}
	if !d.plain {
		if size, err := unix.IoctlGetInt(int(d.file.Fd()), unix.BLKSSZGET); err == nil && size != gpt.Sector {
			return &RefusedError{d.Path, fmt.Sprintf("has sectors of %d bytes", size), "disks that gitboot makes have sectors of 512; take another"}
		}
		d.Model, d.Serial = identity(filepath.Join("/sys/class/block", d.Name))
	}
	if d.Table, err = gpt.Read(d.file, d.Size); err != nil {
		d.Table = gpt.Table{}
	}
	return nil
}

// share lets others have it, too.
func (d *Device) share() error {
	shared, err := os.OpenFile(d.real, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = d.file.Close()
	d.file = shared
	return err
}

// Close gives the disk back.
func (d *Device) Close() error { return d.file.Close() }

// Words say in one line what is about to be lost.
func (d *Device) Words() string {
	words := []string{progress.Bytes(d.Size)}
	for _, w := range []string{d.Model, d.Serial} {
		if w != "" {
			words = append(words, w)
		}
	}
	switch n := len(d.Table.Partitions); n {
	case 0:
		words = append(words, "without a GPT")
	case 1:
		words = append(words, "with a partition")
	default:
		words = append(words, "with "+strconv.Itoa(n)+" partitions")
	}
	var names []string
	for _, p := range d.Table.Partitions {
		if p.Name != "" {
			names = append(names, plain.Line(p.Name))
		}
	}
	text := d.Name + ": " + strings.Join(words, ", ")
	if len(names) > 0 {
		text += ": " + strings.Join(names, ", ")
	}
	return text
}

// usedAs says what for, as far as it is seen from here.
func usedAs(real string) string {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(mounts)) {
		field := strings.Fields(line)
		if len(field) > 1 && strings.HasPrefix(field[0], real) {
			return ": " + field[0] + " is mounted on " + plain.Line(field[1])
		}
	}
	swaps, err := os.ReadFile("/proc/swaps")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(swaps)) {
		if field := strings.Fields(line); len(field) > 0 && strings.HasPrefix(field[0], real) {
			return ": " + field[0] + " is swapped to"
		}
	}
	return ""
}
