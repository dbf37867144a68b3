package qemu

import (
	"fmt"
	"runtime"
)

// A board is what machines of one architecture have, and who has what they take.
type board struct {
	// name is QEMU's for the architecture, program its program, of Debian's package
	// debian; firmware says who has UEFI for it.
	name, program, debian, firmware string
	// machine is QEMU's, versioned one of its names as firmwares are described for.
	machine, versioned string
	// screen is what it has, windowed what it has when it is looked at in a window. bios
	// says whether there is a BIOS.
	screen, windowed []string
	bios             bool
	// secured is what firmware says of itself that verifies what it starts, and securing
	// what keeps its variables from the system.
	secured  string
	securing []string
	// unset says where firmware in setup mode is if none is told of.
	unset string
	// console is the kernel's name of the serial port.
	console string
}

func boardOf(arch string) (board, error) {
	if arch == "" {
		arch = runtime.GOARCH
	}
	switch arch {
	case "amd64":
		return board{
			name: "x86_64", program: "qemu-system-x86_64", debian: "qemu-system-x86",
			firmware: "Debian and Ubuntu have it in the package ovmf, Fedora and Arch in edk2-ovmf; or choose BIOS",
			machine:  "q35", versioned: "pc-q35-9.9", screen: []string{"-vga", "std"}, bios: true, console: "ttyS0",
			secured: "requires-smm", securing: []string{"-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"},
		}, nil
	case "arm64":
		return board{
			name: "aarch64", program: "qemu-system-aarch64", debian: "qemu-system-arm",
			firmware: "Debian and Ubuntu have it in the package qemu-efi-aarch64, Fedora and Arch in edk2-aarch64",
			machine:  "virt", versioned: "virt-9.9", console: "ttyAMA0", secured: "secure-boot",
			unset:    "Debian's package qemu-efi-aarch64 has it as what it calls plain: choose uefi, which trusts whom a disk tells it, too",
			windowed: []string{"-device", "virtio-gpu-pci", "-device", "qemu-xhci", "-device", "usb-kbd"},
		}, nil
	}
	return board{}, fmt.Errorf("run a virtual machine: it is known how for amd64 and arm64 alone, and not for %s", arch)
}

// Architectures are those that there are machines of.
func Architectures() []string { return []string{"amd64", "arm64"} }

// SerialPort is the kernel's name of the serial port that a machine of an architecture, ""
// for this computer's, prints on.
func SerialPort(arch string) string {
	b, err := boardOf(arch)
	if err != nil {
		return ""
	}
	return b.console
}

// processor is QEMU's options for it. One of another kind than this computer's is
// emulated.
func (b board) processor(a Accel) []string {
	own, err := boardOf("")
	if err != nil || own.name != b.name {
		a = TCG
	}
	if a != KVM && b.name != "x86_64" {
		// Pointer authentication as the architecture has it takes most of the time.
		return []string{"-accel", "tcg,thread=multi", "-cpu", "max,pauth-impdef=on"}
	}
	return a.Args()
}
