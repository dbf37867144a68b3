//go:build long

package diskboot

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// What was built here for another architecture boots there, from a disk and as it is staged.
func TestLongForeignBuild(t *testing.T) {
	s := foreign(t, built(), lab.SmallARM64, "400MB")
	s.run(t, "small was built on aarch64", s.program, "vm", filepath.Join(s.dir, "a.img"))
	s.run(t, "small was built on aarch64", s.program, "vm", "small", "--stage", filepath.Join(s.dir, "stage"))
}

// arm64's systemd-boot starts and counts entries, and signed programs, for which it has the
// firmware trust their keys: Debian's for arm64 is in setup mode until then.
func TestLongSystemdBootARM64(t *testing.T) {
	const esp = `{ role = "esp", size = "40MB" }`
	config := strings.NewReplacer(esp, strings.Replace(esp, "40MB", "110MB", 1), `mode = "managed"`, `mode = "managed", loader = "systemd-boot"`).Replace(arm64)
	for what, signed := range map[string]bool{"plain": false, "signed": true} {
		t.Run(what, func(t *testing.T) {
			config, options := config, []string(nil)
			says := []string{`lab: .*gitboot.trying=1`, `lab: small started`}
			if signed {
				config = strings.NewReplacer(`loader = "systemd-boot"`, `loader = "systemd-boot", secure_boot = true`, "[machine.small]", "verity = \"enforce\"\n\n[machine.small]").Replace(config)
				options = []string{"--keys", "keys", "--enroll"}
				says = []string{`Enrolling secure boot keys`, `UEFI Secure Boot is enabled`, `lab: .*gitboot.trying=counted`, `lab: small started`}
			}
			s := newSiteOf(t, config, lab.SmallARM64)
			must(t, lab.BuildInit(s.ctx, filepath.Dir(s.program), "arm64"))
			if signed {
				if out, err := s.command("keys", "create", "--keys", "keys").CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			s.image(t, "a.img", options...)
			s.says(t, says, "a.img", "uefi", "--arch", "arm64", "--keep", "./a.img")
			s.run(t, "+2-1.conf", "mdir", "-b", "-i", filepath.Join(s.dir, "a.img")+"@@1M", "::/loader/entries")
		})
	}
}
