//go:build long

package vm

import (
	"archive/tar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// enrollStart has a machine whose firmware trusts nobody yet tell it whom to trust, once
// its boot is known to be good, and start again. What gitboot says is told line by line.
const enrollStart = secureStart + `modprobe vfat
busybox mkdir -p /efi /tmp
busybox mount -t vfat /dev/vda2 /efi
gitboot() {
	said=$(/usr/bin/gitboot "$@" 2>&1)
	code=$?
	echo "$said" | while read -r line; do echo "lab: $line"; done
	echo "lab: gitboot $1 $2 ended with $code"
}
(
until busybox grep -qs '"verdict": "good"' /run/initramfs/gitboot/boots/*.json; do busybox sleep 0.3; done
gitboot keys status --boot /efi
gitboot keys enroll --only-mine --boot /efi
[ "$code" = 0 ] || poweroff
gitboot keys status --boot /efi
[ "$code" = 0 ] && reboot
) &
`

// gitboot, in a machine whose firmware is in setup mode, has that trust the machine's own
// keys, through the kernel's efivarfs. From the next start on Secure Boot is on, what is
// signed starts, and the firmware takes no other keys.
func TestLongEnroll(t *testing.T) {
	s := newEmptySite(t)
	base, tools := filepath.Join(s.dir, "base.tar"), filepath.Join(s.dir, "tools.tar")
	need.Done(t, lab.Small(s.ctx, base, enrollStart, "efivarfs"))
	writeLayer(t, tools, append(withLibraries(t, need.Program(t, "sign-efi-sig-list")), copied(t, "usr/bin/gitboot", s.gitboot), copied(t, "usr/lib/gitboot/gitboot-init", s.gitboot+"-init")))
	_, _, err := s.registry.Push(s.ctx, "lab/small:1", nil, lab.Layer{Path: base}, lab.Layer{Path: tools})
	need.Done(t, err)
	disk := s.disk(t, lab.DiskOptions{})
	need.Done(t, disk.InstallSystemdBoot(s.ctx))
	need.Done(t, os.WriteFile(filepath.Join(s.dir, "agent.toml"), []byte("boot_location = \"UUID=5D1B-0E5A:/\"\n"), 0o600))
	s.commitSmall(t, strings.Replace(secureFleet(), `archive = "ARCHIVE"`, `pull = "`+s.registry.Addr+`/lab/small:1"`, 1), base)
	s.runESP(t, disk, "keys", "create")
	s.runESP(t, disk, "keys", "sign", "ESP/EFI/BOOT/BOOTX64.EFI", "ESP/EFI/systemd/systemd-bootx64.efi")
	s.runESP(t, disk, "reconcile", "--once")

	const mine, signed = `lab: db: gitboot db of small`, `lab: /efi/gitboot/[0-9a-f]{64}: signed by gitboot db of small`
	s.expect(t, disk, lab.SetupUEFI,
		`lab: firmware: in setup mode`, signed, `lab: gitboot keys status ended with 0`,
		`lab: the firmware trusts these keys; Secure Boot is on from the next start`, `lab: gitboot keys enroll ended with 0`,
		`lab: firmware: Secure Boot is off`, mine, signed, `lab: gitboot keys status ended with 0`,
		`UEFI Secure Boot is enabled`, secureOn,
		`lab: firmware: Secure Boot is on`, mine, signed, `lab: gitboot keys status ended with 0`,
		`lab: gitboot: the firmware is not in setup mode`, `lab: gitboot keys enroll ended with 1`, `Power down`)
}

// copied is a file of this computer's, for a layer.
func copied(t *testing.T, name, from string) entry {
	t.Helper()
	data, err := os.ReadFile(from)
	need.Done(t, err)
	return entry{tar.Header{Name: name, Mode: 0o755}, string(data)}
}

// withLibraries are a program of this computer's, and what it is linked with.
func withLibraries(t *testing.T, program string) []entry {
	t.Helper()
	out, err := exec.Command("ldd", program).Output()
	need.Done(t, err)
	all := []entry{copied(t, "usr/bin/"+filepath.Base(program), program), {tar.Header{Name: "lib64", Typeflag: tar.TypeSymlink, Linkname: "usr/lib64"}, ""}}
	for _, m := range regexp.MustCompile(`(/lib\S*) \(0x`).FindAllStringSubmatch(string(out), -1) {
		all = append(all, copied(t, "usr"+m[1], m[1]))
	}
	return all
}
