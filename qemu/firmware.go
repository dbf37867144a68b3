package qemu

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// A Firmware is what starts a machine that boots from its disks.
type Firmware string

// The firmwares that there are.
const (
	BIOS Firmware = "bios"
	UEFI Firmware = "uefi"
	// SecureUEFI starts nothing but what keys have signed that were enrolled by whoever
	// made the firmware's package.
	SecureUEFI Firmware = "secure-uefi"
	// SetupUEFI is that without any keys, in setup mode: it starts everything until it was
	// told whom to trust, as systemd-boot does with keys that lie beside it.
	SetupUEFI Firmware = "setup-uefi"
)

// descriptors are where QEMU's packages say which firmware there is, the user's own first
// (QEMU's docs/interop/firmware.json).
var descriptors = [...]string{"/etc/qemu/firmware", "/usr/share/qemu/firmware"}

// A descriptor is one of them, as far as it matters.
type descriptor struct {
	Interfaces []string `json:"interface-types"`
	Mapping    struct {
		Device     string `json:"device"`
		Executable struct {
			Filename, Format string
		} `json:"executable"`
		Template struct {
			Filename, Format string
		} `json:"nvram-template"`
	} `json:"mapping"`
	Targets []struct {
		Architecture string
		Machines     []string
	} `json:"targets"`
	Features []string `json:"features"`
}

// maxDescriptor is more than any is long.
const maxDescriptor = 64 << 10

// secures reports whether it may start only what is signed.
func (f Firmware) secures() bool { return f == SecureUEFI || f == SetupUEFI }

// serves reports whether a firmware of a kind is one for a board.
func (d descriptor) serves(b board, f Firmware) bool {
	for _, t := range d.Targets {
		if t.Architecture == b.name && slices.ContainsFunc(t.Machines, func(m string) bool { ok, err := filepath.Match(m, b.versioned); return err == nil && ok }) {
			return slices.Contains(d.Interfaces, "uefi") && d.Mapping.Device == "flash" && d.Mapping.Executable.Format == "raw" && d.Mapping.Template.Format == "raw" &&
				slices.Contains(d.Features, b.secured) == f.secures() && slices.Contains(d.Features, "enrolled-keys") == (f == SecureUEFI)
		}
	}
	return false
}

// there reports whether its files are: Debian 12 describes one for arm64 that it has not.
func (d descriptor) there() bool {
	for _, file := range []string{d.Mapping.Executable.Filename, d.Mapping.Template.Filename} {
		if _, err := os.Stat(file); err != nil {
			return false
		}
	}
	return true
}

// flash finds the files of UEFI: its code, and what its variables are when nothing was
// written there.
func flash(b board, f Firmware) (code, variables string, err error) {
	for _, dir := range descriptors {
		files, err := filepath.Glob(filepath.Join(dir, "*.json")) // in the order of their names, as is meant
		if err != nil {
			return "", "", err
		}
		for _, file := range files {
			info, err := os.Stat(file)
			if err != nil || info.Size() > maxDescriptor {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				return "", "", err
			}
			var d descriptor
			if json.Unmarshal(data, &d) == nil && d.serves(b, f) && d.there() {
				return d.Mapping.Executable.Filename, d.Mapping.Template.Filename, nil
			}
		}
	}
	switch {
	case f == SetupUEFI && b.unset != "":
		return "", "", fmt.Errorf("run a virtual machine: there is no UEFI for %s that says of itself that it is in setup mode; %s", b.name, b.unset)
	case f.secures():
		return "", "", fmt.Errorf("run a virtual machine: there is no UEFI for %s that is %s; %s", b.name, f, b.firmware)
	}
	return "", "", fmt.Errorf("run a virtual machine: there is no UEFI for it; %s", b.firmware)
}

// firmware gives QEMU's options for it. Variables are written to a file that is thrown
// away.
func (f Firmware) args(b board, temp string) (args []string, discard func() error, err error) {
	discard = func() error { return nil }
	switch f {
	case BIOS:
		if !b.bios {
			return nil, discard, fmt.Errorf("run a virtual machine: %s has no BIOS; choose UEFI", b.name)
		}
		return nil, discard, nil
	case UEFI, SecureUEFI, SetupUEFI:
	default:
		return nil, discard, fmt.Errorf("run a virtual machine: there is no firmware %q", f)
	}
	code, template, err := flash(b, f)
	if err != nil {
		return nil, discard, err
	}
	data, err := os.ReadFile(template)
	if err != nil {
		return nil, discard, fmt.Errorf("run a virtual machine: %w", err)
	}
	variables, discard, err := throwaway(temp, data)
	if err != nil {
		return nil, discard, err
	}
	if f.secures() {
		args = b.securing
	}
	return append(slices.Clone(args), "-drive", "if=pflash,unit=0,format=raw,readonly=on,file="+escape(code), "-drive", "if=pflash,unit=1,format=raw,file="+escape(variables)), discard, nil
}
