package vm

import (
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// Debian with sysvinit, and Debian 13 with xz-compressed modules, on other
// file systems and buses than the longer test below.
func TestMachinesBoot(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		kind     lab.Kind
		firmware lab.Firmware
		bus      lab.Bus
		disk     lab.DiskOptions
	}{
		{lab.BookwormSysV, lab.BIOS, lab.SCSI, lab.DiskOptions{Type: "xfs", OtherSystem: true}},
		{lab.Trixie, lab.UEFI, lab.AHCI, lab.DiskOptions{Type: "btrfs"}},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			s.push(t, c.kind)
			disk := s.disk(t, c.disk)
			s.run(t, disk, string(c.kind), "reconcile", "--once")
			vm := s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: c.firmware, Bus: c.bus, MemoryMB: 1536, Snapshot: true})
			s.checkMachine(t, vm, string(c.kind), "0")
		})
	}
}

// The whole way of one machine: its first generation boots and shuts down, a
// changed image becomes the second, and the first still boots when chosen.
func TestGenerations(t *testing.T) {
	s := newSite(t)
	s.push(t, lab.Bookworm)
	disk := s.disk(t, lab.DiskOptions{OtherSystem: true})
	s.run(t, disk, "bookworm", "reconcile", "--once")
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.BIOS, Bus: lab.Virtio})
	s.checkMachine(t, vm, "bookworm", "0")
	if err := vm.Stop(); err != nil {
		t.Fatal(err)
	}

	s.push(t, lab.Bookworm, []entry{file("generation", "1")})
	s.run(t, disk, "bookworm", "reconcile", "--once", "--update")
	vm = s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.UEFI, Bus: lab.NVMe})
	s.checkMachine(t, vm, "bookworm", "1")
	if err := vm.Stop(); err != nil {
		t.Fatal(err)
	}

	s.run(t, disk, "bookworm", "boot", "set-default", "bookworm:1")
	vm = s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.UEFI, Bus: lab.Virtio, Snapshot: true})
	s.checkMachine(t, vm, "bookworm", "0")
}
