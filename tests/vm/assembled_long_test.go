//go:build long

package vm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

// With either half of the mirror gone, for the oldest metadata and for the newest, the
// stage boots after a while, and what is written to it is on the other half alone.
func TestLongAssembledDegraded(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.smallTar(t, archive, assembledStart+goodEnd)
	s.commitSmall(t, smallFleet, archive)
	for left, metadata := range []string{"0.90", "1.2"} {
		a := s.assembled(t, metadata)
		disk := s.disk(t, lab.DiskOptions{SizeMB: 512, OtherSystem: true, BootApart: true})
		a.reconcile(t, s, disk)
		s.expectWith(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.BIOS, More: []string{a.mirror.Files[left], a.plain}},
			`gitboot-init: going on without the rest of its parts: 1 of 2 members have come`, `lab: /bin/busybox started small on overlay`,
			`lab: array (read-auto|clean|active) raid1 1`, `Power down`)
		// what it knows now, it does not wait for
		s.expectWith(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.BIOS, More: []string{a.plain, a.mirror.Files[left]}},
			`lab: array (read-auto|clean|active) raid1 1`, `Power down`)
	}
}

// mirrorStart tells what the stage is on.
const mirrorStart = smallStart + `for b in /sys/block/md*; do echo "lab: array ${b##*/} $(cat $b/md/degraded)"; done
for b in /sys/block/dm-*; do [ ! -e $b ] || echo "lab: $(cat $b/dm/uuid) on $(busybox ls $b/slaves)"; done
`

// A stage right on a mirror, and one on an encrypted disk that is a mirror, whose halves
// look like that disk themselves. When the mirror has run without one half, that one is
// of no use any more, whichever of both comes first.
func TestLongMirrors(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.smallTar(t, archive, mirrorStart+goodEnd)
	s.commitSmall(t, encryptedFleet, archive)
	apart := lab.DiskOptions{SizeMB: 512, OtherSystem: true, BootApart: true}
	disk := s.disk(t, apart)
	m := s.mirror(t, lab.MirrorOptions{Metadata: "1.2"}, disk, false)
	s.expectWith(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.UEFI, More: m.Files[:]}, `lab: /bin/busybox started small on overlay`, `lab: array md\d+ 0`, `Power down`)

	disk = s.disk(t, apart)
	m = s.mirror(t, lab.MirrorOptions{Metadata: "1.0"}, disk, true)
	const question = `Passphrase for the disk /dev/md\d+ `
	for _, c := range []struct {
		files []string
		lines []string
	}{
		{m.Files[:], []string{question, `lab: array md\d+ 0`}},
		{m.Files[1:], []string{`going on without the rest of its parts: 1 of 2 members have come`, question, `lab: array md\d+ 1`}},
		{m.Files[:], []string{question, `lab: array md\d+ 1`}},
	} {
		asks := &prompt{question: []byte("(" + luksUUID + "): "), asked: make(chan struct{}, 8)}
		vm := s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.UEFI, More: c.files, Console: asks})
		s.typeIn(t, vm, asks, passphrase)
		s.follow(t, vm, append(c.lines, `lab: CRYPT-LUKS2-\S+ on md\d+`, `Power down`)...)
		if err := vm.Wait(s.ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// mirror makes a stage that takes a whole array, with a passphrase or without, and what is
// to be booted from a disk.
func (s *site) mirror(t *testing.T, o lab.MirrorOptions, disk *lab.Disk, encrypted bool) *lab.Mirror {
	t.Helper()
	if encrypted {
		return s.mirrorOf(t, o, disk, nil, []deployment.Step{{Kind: deployment.AssembleLUKS, ID: luksUUID}})
	}
	return s.mirrorOf(t, o, disk, nil, nil)
}

// mirrorOf is mirror for a stage whose array needs some steps below it and some above,
// for which there is room. One above is an encrypted disk.
func (s *site) mirrorOf(t *testing.T, o lab.MirrorOptions, disk *lab.Disk, below, above []deployment.Step) *lab.Mirror {
	t.Helper()
	dir := t.TempDir()
	m, err := lab.NewMirror(s.ctx, o, filepath.Join(dir, "a"), filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	const header = 32 << 20
	a, size := &assembledStage{image: filepath.Join(dir, "image")}, m.Size-int64(len(above))*header
	on := deployment.NewAssembly(slices.Concat(below, []deployment.Step{{Kind: deployment.AssembleRAID, ID: m.UUID}}, above)...)
	a.location = fmt.Sprintf("%s@UUID=%s:/gitboot", on, assembledUUID)
	if err := errors.Join(os.WriteFile(a.image, nil, 0o600), os.Truncate(a.image, size)); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(s.ctx, "mkfs.ext4", "-q", "-F", "-U", assembledUUID, a.image); err != nil {
		t.Fatal(err)
	}
	a.stage(t, s, disk)
	if len(above) > 0 {
		encrypt(t, a.image)
	}
	in, err := os.Open(a.image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Fill(in), in.Close(), os.Remove(a.image)); err != nil {
		t.Fatal(err)
	}
	return m
}

// Where /boot is on the stage's own logical volume, GRUB reads menu, kernel and initramfs
// from there by itself, under both firmwares; boots cannot be counted there, and are not.
func TestLongVolumeByGRUB(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.smallTar(t, archive, smallStart+goodEnd)
	disk := s.disk(t, lab.DiskOptions{SizeMB: 640, OnLVM: true})
	group, volume, err := disk.VolumeUUIDs(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("lvm:%s/%s@UUID=%s:/gitboot", group, volume, disk.UUID)
	s.commitSmall(t, smallFleet, archive)
	if out, err := s.runs(t, disk, "small", "reconcile", "--once", "--stage-location", at); err == nil || !strings.Contains(out, "GRUB cannot write to") {
		t.Errorf("boots are counted: %v\n%s", err, out)
	}
	s.commitSmall(t, strings.Replace(smallFleet, `mode = "managed", tries = 1`, `mode = "menu"`, 1), archive)
	s.run(t, disk, "small", "reconcile", "--once", "--stage-location", at)
	for _, firmware := range []lab.Firmware{lab.BIOS, lab.UEFI} {
		s.expect(t, disk, firmware, `lab: BOOT_IMAGE=\S+/objects/sha256/\S+ .*gitboot.assemble=lvm:`+group, `lab: /bin/busybox started small on overlay`, `Power down`)
	}
}

// Where all of a system is on one array, as Debian's installer makes it, GRUB reads menu,
// kernel and initramfs from there, under both firmwares, and from either half where the
// other has gone; boots cannot be counted there, and are not.
func TestLongArrayByGRUB(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.smallTar(t, archive, mirrorStart+goodEnd)
	disk := s.disk(t, lab.DiskOptions{SizeMB: 320, OnMirror: true})
	dir := t.TempDir()
	m, err := lab.NewMirror(s.ctx, lab.MirrorOptions{Metadata: "1.2"}, filepath.Join(dir, "a"), filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("raid:%s@UUID=%s:/gitboot", m.UUID, disk.UUID)
	s.commitSmall(t, smallFleet, archive)
	if out, err := s.runs(t, disk, "small", "reconcile", "--once", "--stage-location", at); err == nil || !strings.Contains(out, "GRUB cannot write to") {
		t.Errorf("boots are counted: %v\n%s", err, out)
	}
	s.commitSmall(t, strings.Replace(smallFleet, `mode = "managed", tries = 1`, `mode = "menu"`, 1), archive)
	s.run(t, disk, "small", "reconcile", "--once", "--stage-location", at)
	if err := disk.MoveBoot(s.ctx, m); err != nil {
		t.Fatal(err)
	}
	booted := `lab: BOOT_IMAGE=\S+/objects/sha256/\S+ .*gitboot.assemble=raid:` + m.UUID
	for _, firmware := range []lab.Firmware{lab.BIOS, lab.UEFI} {
		s.expectWith(t, lab.VMOptions{Disk: disk.Path, Firmware: firmware, More: m.Files[:]}, booted, `lab: /bin/busybox started small on overlay`, `lab: array md\d+ 0`, `Power down`)
	}
	for _, half := range m.Files {
		s.expectWith(t, lab.VMOptions{Disk: disk.Path, More: []string{half}, Snapshot: true}, booted, `lab: array md\d+ 1`, `Power down`)
	}
}
