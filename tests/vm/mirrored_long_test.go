//go:build long

package vm

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// A Debian with systemd and mdadm, whose /boot and whose stage are on arrays, as Debian's
// installer makes them, is itself what converges it: gitboot in it finds what both are on,
// makes the next generation, and has GRUB, which reads /boot from its array and cannot
// write there, count it on the EFI system partition. mdadm and udev find the stage's array
// as theirs, and assemble the other.
func TestLongArraysInside(t *testing.T) {
	s := newEmptySite(t)
	const managed, menu = `mode = "managed", tries = 1`, `mode = "menu"`
	s.inside(t, strings.Replace(insideFleet, managed, menu, 1), "testdata/inside/arrays", `"one"`, `"two"`, menu, managed)
	disk := s.disk(t, lab.DiskOptions{SizeMB: 512, BootApart: true, OnMirror: true})
	stage := s.mirror(t, lab.MirrorOptions{Metadata: "1.0", Number: 1, SizeMB: 640}, disk, false)
	dir := t.TempDir()
	boot, err := lab.NewMirror(s.ctx, lab.MirrorOptions{Metadata: "1.2"}, filepath.Join(dir, "a"), filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.MoveBoot(s.ctx, boot); err != nil {
		t.Fatal(err)
	}

	console := &transcript{to: &prompt{question: []byte("(none)")}}
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.UEFI, More: append(boot.Files[:], stage.Files[:]...), Console: console})
	for _, step := range []string{"one", "two"} {
		s.story(t, vm, `lab: step `+step+`, stage on /dev/md1\S* ext4`, `lab: mdadm leaves it alone`, `lab: done with step `+step)
	}
	if err := vm.Wait(s.ctx); err != nil {
		t.Fatal(err)
	}
	wentWell(t, console.String(), `GRUB cannot write to /dev/md\d+, which is made of other devices`)
}
