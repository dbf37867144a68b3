// Package scratch has files in memory (memfd_create(2)) for the programs that make
// file systems: each has what it wrote on the disk before it ends, which takes longer
// than all else on a disk that is busy, and is for nothing until all of a disk is
// made. They write little more than what they know of it, and the rest stays empty.
package scratch

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// New makes a file of so many bytes, all zeros. It is gone when it is closed.
func New(size int64) (*os.File, error) {
	fd, err := unix.MemfdCreate("gitboot-scratch", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "scratch")
	if err := f.Truncate(size); err != nil {
		return nil, errors.Join(fmt.Errorf("make a file in memory: %w", err), f.Close())
	}
	return f, nil
}

// Path leads children of this program to a file.
func Path(f *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()) }

// Copy copies to an offset of another file what was written to one.
func Copy(to *os.File, offset int64, from *os.File) error {
	for at := int64(0); ; {
		begin, err := unix.Seek(int(from.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		if at, err = unix.Seek(int(from.Fd()), begin, unix.SEEK_HOLE); err != nil {
			return err
		}
		if _, err := io.Copy(io.NewOffsetWriter(to, offset+begin), io.NewSectionReader(from, begin, at-begin)); err != nil {
			return err
		}
	}
}
