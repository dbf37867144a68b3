package qemu_test

import (
	"strings"
	"testing"

	"github.com/gitboot/gitboot/qemu"
	"github.com/gitboot/gitboot/tests/need"
)

// What a kind of machine does not have is told before anything starts.
func TestBoards(t *testing.T) {
	need.Program(t, "qemu-system-aarch64")
	for want, o := range map[string]qemu.Options{
		"aarch64 has no BIOS":       {Arch: "arm64", Firmware: qemu.BIOS},
		"and not for riscv64":       {Arch: "riscv64"},
		"there is no firmware \"\"": {Arch: "arm64"},
		// As Debian's package for arm64 has it.
		"choose uefi, which trusts whom a disk tells it": {Arch: "arm64", Firmware: qemu.SetupUEFI},
	} {
		if err := qemu.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if arm, pc := qemu.SerialPort("arm64"), qemu.SerialPort("amd64"); arm != "ttyAMA0" || pc != "ttyS0" {
		t.Errorf("serial ports are %s and %s", arm, pc)
	}
}

// A machine of another kind than this computer is emulated, whatever works for its own.
func TestForeignIsEmulated(t *testing.T) {
	if got := qemu.Accelerator(t.Context(), "riscv64", "", ""); got != qemu.TCG {
		t.Error(got)
	}
}
