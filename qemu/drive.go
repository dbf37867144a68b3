package qemu

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// A Drive is a file that a machine has as a disk, and may boot from.
type Drive struct {
	Path string
	// Snapshot keeps what is written in memory, and the file as it is.
	Snapshot bool
	// CD is a medium that is only read. BIOS boots it from a drive for CDs, as it knows
	// one disk; UEFI finds it as the stick that it could be as well, for which kernels
	// of virtual machines have the driver.
	CD bool
}

// qcow2 begins an image of that format (QEMU's docs/interop/qcow2).
var qcow2 = [...]byte{'Q', 'F', 'I', 0xfb}

// format is what a file is: what begins otherwise than an image is the disk itself.
func (d Drive) format() (string, error) {
	f, err := os.Open(d.Path)
	if err != nil {
		return "", fmt.Errorf("run a virtual machine: %w", err)
	}
	defer f.Close()
	var head [len(qcow2)]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return "", fmt.Errorf("run a virtual machine: %s is no disk: %w", d.Path, errors.Join(err, io.ErrUnexpectedEOF))
	}
	if bytes.Equal(head[:], qcow2[:]) {
		return "qcow2", nil
	}
	return "raw", nil
}

// args are QEMU's options for the n-th drive that is booted from.
func (d Drive) args(n int, by Firmware) ([]string, error) {
	format, err := d.format()
	if err != nil {
		return nil, err
	}
	drive, device := fmt.Sprintf("if=none,id=drive%d,format=%s,file=%s", n, format, escape(d.Path)), "virtio-blk-pci"
	switch {
	case d.CD && by == BIOS:
		drive, device = drive+",media=cdrom,readonly=on", "ide-cd"
	case d.CD:
		drive += ",readonly=on"
	case d.Snapshot:
		drive += ",snapshot=on"
	}
	return []string{"-drive", drive, "-device", fmt.Sprintf("%s,drive=drive%d,bootindex=%d", device, n, n)}, nil
}
