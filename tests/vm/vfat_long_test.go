//go:build long

package vm

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// A stage on vfat boots, is counted there by GRUB and marked good there by process 1.
// This kernel has no vfat: what gitboot has staged in a folder is copied to the
// partition.
func TestLongVFAT(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.smallTar(t, archive, smallStart+goodEnd)
	s.commitSmall(t, smallFleet, archive)
	disk := s.disk(t, lab.DiskOptions{})
	stage := filepath.Join(s.dir, "stage")
	s.look(t, disk, func(mnt string) error {
		out, err := exec.CommandContext(s.ctx, s.gitboot, "reconcile", "--once", "--repo", s.repo.Dir, "--machine", "small",
			"--stage", stage, "--stage-location", "UUID=5D1B-0E5A:/gitboot", "--boot", filepath.Join(mnt, "boot/grub")).CombinedOutput()
		t.Logf("%s", out)
		return err
	})
	s.lookESP(t, disk, func(esp string) error {
		_, err := lab.Run(s.ctx, "cp", "-r", stage, filepath.Join(esp, "gitboot"))
		return errors.Join(err, os.RemoveAll(filepath.Join(esp, "gitboot/repo")))
	})
	const started = `lab: /bin/busybox started small on overlay`
	s.expect(t, disk, lab.UEFI, `lab: .*gitboot.trying=1 gitboot.stage=UUID=5D1B-0E5A:/gitboot `, started, `Power down`)
	s.expect(t, disk, lab.UEFI, `lab: .*gitboot.stage=UUID=5D1B-0E5A:/gitboot .*gitboot.machine=small panic=`, started, `Power down`)
	s.lookESP(t, disk, func(esp string) error {
		left, err := lab.Run(s.ctx, "grub-editenv", filepath.Join(esp, "gitboot/boot/gitboot.env"), "list")
		if !strings.Contains(left, "gitboot_good=gitboot-small-") {
			t.Errorf("the block does not say that it is good:\n%s", left)
		}
		return err
	})
}

// lookESP does something with what is on the EFI system partition.
func (s *site) lookESP(t *testing.T, d *lab.Disk, do func(esp string) error) {
	t.Helper()
	if err := d.ESP(s.ctx, do); err != nil {
		t.Fatal(err)
	}
}
