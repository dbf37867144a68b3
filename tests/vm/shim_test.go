package vm

import (
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// secureStart says what the firmware says of Secure Boot, and the kernel of itself.
const secureStart = smallStart + `modprobe efivarfs
busybox mount -t efivarfs none /sys/firmware/efi/efivars
busybox mount -t securityfs none /sys/kernel/security
echo "lab: secure boot: $(busybox od -An -tu1 /sys/firmware/efi/efivars/SecureBoot-*), lockdown: $(cat /sys/kernel/security/lockdown)"
`

// secureOn is what that says where it is on: four bytes of attributes, and a one.
const secureOn = `lab: secure boot: +6 +0 +0 +0 +1, lockdown: none \[integrity\]`

// secureTar writes the small system that says so and then does what a test adds.
func (s *site) secureTar(t *testing.T, path, end string) {
	t.Helper()
	if err := lab.Small(s.ctx, path, secureStart+end, "efivarfs"); err != nil {
		t.Fatal(err)
	}
}

// Firmware that trusts Microsoft starts Debian's shim, this its GRUB, and that, by our
// menu, which counts the boot, Debian's kernel, that takes no modules but its own.
func TestShim(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.secureTar(t, archive, "poweroff\n")
	disk := s.disk(t, lab.DiskOptions{Shim: true})
	s.publishSmall(t, disk, smallFleet, archive)
	s.expect(t, disk, lab.MicrosoftUEFI, `lab: .*gitboot.trying=1`, `lab: /bin/busybox started small on overlay`, secureOn, `Power down`)
}
