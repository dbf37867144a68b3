//go:build long

package vm

import (
	"path/filepath"
	"testing"

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
