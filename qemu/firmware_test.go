package qemu_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/qemu"
	"github.com/gitboot/gitboot/tests/need"
)

// sector is the first of a disk: it writes "!" to the serial port and switches the
// machine off, as ACPI does on q35.
var sector = append(append([]byte{
	0xb0, '!', 0xba, 0xf8, 0x03, 0xee, // mov al, '!'; mov dx, 0x3f8; out dx, al
	0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, // mov dx, 0x604; mov ax, 0x2000; out dx, ax
	0xf4, // hlt
}, make([]byte, 510-14)...), 0x55, 0xaa)

// What is on a disk is started by firmware, whatever format its file has.
func TestDrives(t *testing.T) {
	need.Long(t)
	need.Programs(t, "qemu-system-x86_64", "qemu-img")
	raw := filepath.Join(t.TempDir(), "a,b.img")
	if err := os.WriteFile(raw, append(bytes.Clone(sector), make([]byte, 1<<20)...), 0o600); err != nil {
		t.Fatal(err)
	}
	packed := filepath.Join(t.TempDir(), "b.qcow2")
	if out, err := exec.Command("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, packed).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, file := range []string{raw, packed} {
		var printed bytes.Buffer
		err := qemu.Run(t.Context(), qemu.Options{Firmware: qemu.BIOS, Drives: []qemu.Drive{{Path: file, Snapshot: true}}, Memory: 64 << 20, Accel: qemu.TCG, Restarts: true, Console: &printed})
		if err != nil || !strings.HasSuffix(printed.String(), "!") {
			t.Errorf("%s: %q, %v", file, printed.String(), err)
		}
	}
}

// What cannot be booted from is an error of its own.
func TestDrivesAreRefused(t *testing.T) {
	need.Programs(t, "qemu-system-x86_64")
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("QF"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]qemu.Options{
		"short is no disk":          {Firmware: qemu.BIOS, Drives: []qemu.Drive{{Path: short}}},
		"no such file":              {Firmware: qemu.BIOS, Drives: []qemu.Drive{{Path: short + ".gone"}}},
		"there is no firmware \"\"": {},
	} {
		if err := qemu.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
