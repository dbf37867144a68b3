package sdboot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf16"

	"github.com/gitboot/gitboot/boot/efivar"
)

// vendor is systemd-boot's, of the variables that are its own (systemd's Boot Loader
// Interface).
const vendor = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

// Its variables: what runs it, and which entry boots next, once, and always.
const (
	infoVar    = "LoaderInfo"
	oneShotVar = "LoaderEntryOneShot"
	defaultVar = "LoaderEntryDefault"
)

// maxVar is more than any of these is long.
const maxVar = 4096

// A firmware is a folder of its variables.
type firmware struct{ efivar.Folder }

// get returns the text of a variable, "" of none.
func (f firmware) get(name string) (string, error) {
	data, err := f.Read(name, vendor)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if len(data) > maxVar || len(data)%2 != 0 {
		return "", fmt.Errorf("the firmware's variable %s is no text", name)
	}
	var units []uint16
	for at := 0; at < len(data); at += 2 {
		units = append(units, binary.LittleEndian.Uint16(data[at:]))
	}
	return strings.TrimRight(string(utf16.Decode(units)), "\x00"), nil
}

// set writes a variable; "" removes it.
func (f firmware) set(name, value string) error {
	if value == "" {
		return f.Remove(name, vendor)
	}
	var data []byte
	for _, unit := range utf16.Encode([]rune(value + "\x00")) {
		data = binary.LittleEndian.AppendUint16(data, unit)
	}
	return f.Write(name, vendor, efivar.Plain, data)
}

// Running says which boot loader has started this system, as it says so itself, ""
// if it does not.
func Running() string {
	info, err := firmware{efivar.System}.get(infoVar)
	if err != nil {
		return ""
	}
	return info
}
