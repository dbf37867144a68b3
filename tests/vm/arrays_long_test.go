//go:build long

package vm

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

// A machine of two disks as Debian's installer makes it, all of it on an array of a
// partition of each, beside GRUB and an EFI system partition. It boots by both firmwares,
// and from either disk when the other is gone.
func TestLongArrayOfPartitions(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.smallTar(t, archive, mirrorStart+`echo "lab: on $(busybox ls /sys/block/md*/slaves | busybox xargs echo)"`+"\n"+goodEnd)
	s.commitSmall(t, strings.Replace(smallFleet, `mode = "managed", tries = 1`, `mode = "menu"`, 1), archive)
	system := s.disk(t, lab.DiskOptions{SizeMB: 320, OnMirror: true})
	dir := t.TempDir()
	m, err := lab.NewMirror(s.ctx, lab.MirrorOptions{Metadata: "1.2"}, filepath.Join(dir, "a"), filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	s.run(t, system, "small", "reconcile", "--once", "--stage-location", fmt.Sprintf("raid:%s@UUID=%s:/gitboot", m.UUID, system.UUID))
	if err := system.MoveBoot(s.ctx, m); err != nil {
		t.Fatal(err)
	}
	var disks [2]string
	for i, half := range m.Files {
		d := s.disk(t, lab.DiskOptions{SizeMB: 384, OnMirror: true, UUID: system.UUID})
		if err := d.Carry(s.ctx, half); err != nil {
			t.Fatal(err)
		}
		disks[i] = d.Path
	}
	booted := `lab: BOOT_IMAGE=\S+/objects/sha256/\S+ .*gitboot.assemble=raid:` + m.UUID
	s.expectWith(t, lab.VMOptions{Disk: disks[0], Firmware: lab.UEFI, More: disks[1:]}, booted, `lab: array md\d+ 0`, `lab: on vda3 vdb3`, `Power down`)
	s.expectWith(t, lab.VMOptions{Disk: disks[1], Firmware: lab.BIOS, More: disks[:1]}, booted, `lab: array md\d+ 0`, `lab: on vda3 vdb3`, `Power down`)
	for _, alone := range disks {
		s.expectWith(t, lab.VMOptions{Disk: alone, Firmware: lab.BIOS, Snapshot: true}, `going on without the rest of its parts: 1 of 2 members have come`, booted, `lab: array md\d+ 1`, `lab: on vda3`, `Power down`)
	}
}

// A stage on an array of two encrypted disks, of which each asks for its passphrase. With
// either of them gone, the other is opened, and will do.
func TestLongArrayOfEncrypted(t *testing.T) {
	const other = "7c9d2b15-0e64-4f3a-9b1c-5a8e6d3f2b42"
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.smallTar(t, archive, mirrorStart+goodEnd)
	s.commitSmall(t, encryptedFleet, archive)
	disk := s.disk(t, lab.DiskOptions{SizeMB: 512, OtherSystem: true, BootApart: true})
	m := s.mirrorOf(t, lab.MirrorOptions{Metadata: "1.2"}, disk, []deployment.Step{{Kind: deployment.AssembleLUKS, ID: luksUUID}, {Kind: deployment.AssembleLUKS, ID: other}}, nil)
	for i, uuid := range []string{luksUUID, other} {
		encrypt(t, m.Files[i], "--pbkdf-memory", "1024", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "2", "--uuid", uuid)
	}
	for _, files := range [][]string{m.Files[:], m.Files[1:], m.Files[:1]} {
		asks := &prompt{question: []byte("): "), asked: make(chan struct{}, 8)}
		vm := s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.UEFI, More: files, Console: asks, Snapshot: len(files) < 2})
		for range files {
			s.typeIn(t, vm, asks, passphrase)
		}
		s.follow(t, vm, fmt.Sprintf(`lab: array md\d+ %d`, 2-len(files)), `lab: CRYPT-LUKS2-\S+ on vd[bc]`, `Power down`)
		if err := vm.Wait(s.ctx); err != nil {
			t.Fatal(err)
		}
	}
}
