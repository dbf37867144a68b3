// Package scratch has files in memory (memfd_create(2)) for the programs that make
// file systems: each has what it wrote on the disk before it ends, which takes longer
// than all else on a disk that is busy, and is for nothing until all of a disk is
// made. They write little more than what they know of it, and the rest stays empty.
package scratch

import (
	"errors"
	"fmt"
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
