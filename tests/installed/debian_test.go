package installed

import (
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// What dpkg installs runs, under the real systemd and its restrictions, and goes
// without taking away what boots.
func TestDebian(t *testing.T) { debian(t, lab.Bookworm) }

func debian(t *testing.T, kind lab.Kind) {
	t.Helper()
	need.Root(t)
	need.Programs(t, "systemd-nspawn", "make")
	dir := root(t, kind)
	bin := build(t)
	for _, version := range []string{"1.0", "2.0"} {
		run(t, "cp", the(t, pack(t, bin, version, "deb"), "*.deb"), filepath.Join(dir, version+".deb"))
	}
	fleet(t, dir)
	// A machine on which gitboot-poll.service was enabled before there was the agent.
	run(t, "ln", "-s", "/usr/lib/systemd/system/gitboot-poll.service", filepath.Join(dir, "etc/systemd/system/multi-user.target.wants/gitboot-poll.service"))
	before := run(t, "find", filepath.Join(dir, "boot"), "-printf", "%P %s %T@\n")
	run(t, "chroot", dir, "dpkg", "-i", "/1.0.deb")
	if after := run(t, "find", filepath.Join(dir, "boot"), "-printf", "%P %s %T@\n"); after != before {
		t.Errorf("installing changed /boot:\n%s", after)
	}
	write(t, filepath.Join(dir, "etc/gitboot/agent.toml"),
		"repo = \"/srv/fleet\"\nmachine = \"laptop\"\nstage_location = \"UUID=1111-2222:/gitboot\"\n")
	boot(t, dir, "debian.sh")
}
