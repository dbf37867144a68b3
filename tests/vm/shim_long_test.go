//go:build long

package vm

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// With Secure Boot on, a good boot is told from what follows it with a kernel that is
// not signed: the shim refuses that, and GRUB loads the good one in its place.
func TestLongShimUnsigned(t *testing.T) {
	s := newEmptySite(t)
	signed, unsigned := filepath.Join(s.dir, "signed.tar"), filepath.Join(s.dir, "unsigned.tar")
	s.secureTar(t, signed, goodEnd)
	s.unsign(t, signed, unsigned)
	disk := s.disk(t, lab.DiskOptions{Shim: true})
	const trying, good = `lab: .*gitboot.trying=1`, `lab: BOOT_IMAGE=\S+ gitboot.stage=`
	s.publishSmall(t, disk, smallFleet, signed)
	s.expect(t, disk, lab.MicrosoftUEFI, trying, secureOn, `Power down`)
	s.publishSmall(t, disk, smallFleet, unsigned)
	s.expect(t, disk, lab.MicrosoftUEFI, `bad shim signature`, good, secureOn, `Power down`)
}

// So does gitboot's own virtual machine with Secure Boot on.
func TestLongShimVM(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.secureTar(t, archive, "poweroff\n")
	disk := s.disk(t, lab.DiskOptions{Shim: true})
	s.publishSmall(t, disk, smallFleet, archive)
	out, err := exec.CommandContext(s.ctx, s.gitboot, "vm", disk.Path, "--secure-boot", "--timeout", "10m").CombinedOutput()
	need.Done(t, err, out)
	if !regexp.MustCompile(secureOn).Match(out) {
		t.Errorf("it does not say that Secure Boot is on:\n%s", out)
	}
}

// unsign writes a small system without its kernel's signature.
func (s *site) unsign(t *testing.T, from, to string) {
	t.Helper()
	dir := t.TempDir()
	const strip = `tar -xf "$1" && sbattach --remove boot/vmlinuz-* && tar -cf "$2" .`
	cmd := exec.CommandContext(s.ctx, "sh", "-ec", strip, "sh", from, to)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	need.Done(t, err, out)
}
