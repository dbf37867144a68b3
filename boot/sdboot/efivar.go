package sdboot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf16"

	"golang.org/x/sys/unix"
)

// efivars is where the kernel shows the firmware's variables.
const efivars = "/sys/firmware/efi/efivars"

// vendor is systemd-boot's, of the variables that are its own (systemd's Boot Loader
// Interface).
const vendor = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

// Its variables: what runs it, and which entry boots next, once, and always.
const (
	infoVar    = "LoaderInfo"
	oneShotVar = "LoaderEntryOneShot"
	defaultVar = "LoaderEntryDefault"
)

// attributes of a variable: non-volatile, and to be seen by boot loader and system
// (UEFI specification, "GetVariable").
const attributes = 0x7

// immutable is FS_IMMUTABLE_FL of linux/fs.h.
const immutable = 0x10

// maxVar is more than any of these is long.
const maxVar = 4096

// A firmware is a folder of its variables.
type firmware struct{ dir string }

func (f firmware) file(name string) string { return filepath.Join(f.dir, name+"-"+vendor) }

// get returns the text of a variable, "" of none.
func (f firmware) get(name string) (string, error) {
	data, err := os.ReadFile(f.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the firmware's variable %s: %w", name, err)
	}
	if len(data) < 4 || len(data) > maxVar || len(data)%2 != 0 {
		return "", fmt.Errorf("the firmware's variable %s is no text", name)
	}
	var units []uint16
	for at := 4; at < len(data); at += 2 {
		units = append(units, binary.LittleEndian.Uint16(data[at:]))
	}
	return strings.TrimRight(string(utf16.Decode(units)), "\x00"), nil
}

// set writes a variable; "" removes it.
func (f firmware) set(name, value string) error {
	if _, err := os.Stat(f.dir); err != nil {
		return errors.New("the firmware's variables are out of reach: mount efivarfs at " + efivars)
	}
	file := f.file(name)
	if err := mutable(file); err != nil {
		return fmt.Errorf("write the firmware's variable %s: %w", name, err)
	}
	if value == "" {
		err := os.Remove(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	data := binary.LittleEndian.AppendUint32(nil, attributes)
	for _, unit := range utf16.Encode([]rune(value + "\x00")) {
		data = binary.LittleEndian.AppendUint16(data, unit)
	}
	return os.WriteFile(file, data, 0o644) // in one write(2), as efivarfs wants it
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

// Running says which boot loader has started this system, as it says so itself, ""
// if it does not.
func Running() string {
	info, err := firmware{efivars}.get(infoVar)
	if err != nil {
		return ""
	}
	return info
}
