// Package efivar reads and writes the variables of UEFI firmware, as Linux shows them
// (Documentation/filesystems/efivarfs.rst): files NAME-VENDOR, of four bytes of
// attributes and what the variable holds.
package efivar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// System is where the kernel shows this machine's.
const System Folder = "/sys/firmware/efi/efivars"

// Vendors of variables, by their GUIDs: UEFI's own (UEFI specification 2.10, 3.3), and
// that of those which decide what is trusted (32.6.1).
const (
	Global   = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
	Security = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
)

// Attributes (UEFI specification 2.10, 8.2.1).
const (
	// Plain is of a variable that stays, and that boot loader and system see.
	Plain = 0x7
	// Authenticated is of one that besides is changed only by who signs the change.
	Authenticated = 0x27
)

// immutable is FS_IMMUTABLE_FL of linux/fs.h.
const immutable = 0x10

// most is more than any variable holds.
const most = 1 << 20

// A Folder shows variables.
type Folder string

// Check reports that there are none to be seen.
func (f Folder) Check() error {
	if _, err := os.Stat(string(f)); err != nil {
		return errors.New("the firmware's variables are out of reach: this machine was not started by UEFI, or efivarfs is to be mounted at " + string(System))
	}
	return nil
}

func (f Folder) file(name, vendor string) string { return filepath.Join(string(f), name+"-"+vendor) }

// Read returns what a variable holds. One that is not there is fs.ErrNotExist.
func (f Folder) Read(name, vendor string) ([]byte, error) {
	in, err := os.Open(f.file(name, vendor))
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return nil, fmt.Errorf("read the firmware's variable %s: %w", name, err)
	}
	if len(data) < 4 {
		return nil, fmt.Errorf("the firmware's variable %s is damaged", name)
	}
	return data[4:], nil
}

// Write has a variable hold this.
func (f Folder) Write(name, vendor string, attributes uint32, data []byte) error {
	if err := f.Check(); err != nil {
		return err
	}
	if err := mutable(f.file(name, vendor)); err != nil {
		return fmt.Errorf("write the firmware's variable %s: %w", name, err)
	}
	all := append(binary.LittleEndian.AppendUint32(nil, attributes), data...)
	if err := os.WriteFile(f.file(name, vendor), all, 0o644); err != nil { // in one write(2), as efivarfs wants it
		return fmt.Errorf("write the firmware's variable %s: %w", name, err)
	}
	return nil
}

// Remove removes a variable, if it is there.
func (f Folder) Remove(name, vendor string) error {
	file := f.file(name, vendor)
	if err := mutable(file); err != nil {
		return fmt.Errorf("remove the firmware's variable %s: %w", name, err)
	}
	if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// mutable takes back that a variable is protected from being removed by mistake, which
// efivarfs does to those it does not know.
func mutable(file string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil || flags&immutable == 0 {
		return nil // what lies elsewhere has no such thing
	}
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags&^immutable)
}
