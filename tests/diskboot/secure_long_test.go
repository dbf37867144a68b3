//go:build long

package diskboot

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// secureConfig has systemd-boot, and all that boots signed.
func secureConfig() string {
	const esp = "  { role = \"esp\", size = \"80MB\" },\n  { role = \"stage\", grow = true },\n"
	return strings.NewReplacer("PARTITIONS", esp, `mode = "managed"`, `mode = "managed", loader = "systemd-boot", secure_boot = true`, `"no_timer_check"]`, `"no_timer_check"]`+"\nverity = \"enforce\"").Replace(config)
}

// A signed disk is made by a user without rights, is the same each time, and has a
// firmware that trusts nobody yet trust its keys. From then on that starts what they have
// signed, and process 1 finds, on the partition that the boot loader has written to, that
// the boot is on trial.
func TestLongSecureDisk(t *testing.T) {
	s := newSiteOf(t, secureConfig(), func(ctx context.Context, path, start string) error { return lab.Small(ctx, path, start) })
	if out, err := s.command("keys", "create", "--keys", "keys").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m, first := s.image(t, "a.img", "--keys", "keys", "--enroll")
	if _, again := s.image(t, "b.img", "--keys", "keys", "--enroll"); first != again {
		t.Errorf("made again, it is another: %s", s.differ("a.img", "b.img"))
	}
	s.sound(t, m)
	s.says(t, []string{`Enrolling secure boot keys`, `UEFI Secure Boot is enabled`, `lab: gitboot.entry=gitboot-small-\S* .*gitboot.trying=counted`, `lab: small started`}, "a.img", "setup-uefi", "--keep", "./a.img")
	s.run(t, "+2-1.conf", "mdir", "-b", "-i", filepath.Join(s.dir, "a.img")+"@@1M", "::/loader/entries")
	at, _ := stageOf(t, filepath.Join(s.dir, "a.img"))
	if boots := s.read(t, at, "/gitboot/state.json"); !strings.Contains(boots, `"secureBoot": true`) {
		t.Errorf("the stage's state is %.300s", boots)
	}
}

// A stick that nobody has signed installs a machine whose disk has all signed and not the
// key: the firmware, in setup mode before, trusts that key and starts what was installed.
func TestLongSecureMedium(t *testing.T) {
	s := newSiteOf(t, secureConfig(), func(ctx context.Context, path, start string) error { return lab.Small(ctx, path, start) })
	if out, err := s.command("keys", "create", "--keys", "keys").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	must(t, os.WriteFile(filepath.Join(s.dir, "install.toml"), []byte(answers), 0o644))
	stick, disk := s.iso(t, "--answers", "install.toml", "--keys", "keys", "--enroll", "--without-signing-key"), s.blank(t)
	s.says(t, []string{`/dev/vda: boots small at revision`, `Enrolling secure boot keys`, `UEFI Secure Boot is enabled`, `lab: gitboot.entry=gitboot-small-\S* .*gitboot.trying=counted`, `lab: small started`}, "disk", "setup-uefi", "--cdrom", stick, "--keep", "disk")
	at, _ := stageOf(t, disk)
	if keys := s.debugfs(t, at, "ls /gitboot/keys"); !strings.Contains(keys, "db.crt") || strings.Contains(keys, "db.key") {
		t.Errorf("the keys of the disk are %s", keys)
	}
}
