package installed

import (
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// What dpkg installs runs, under the real systemd and its restrictions, and goes
// without taking away what boots.
func debian(t *testing.T, older, newer string) {
	dir := root(t, lab.Bookworm)
	run(t, "cp", the(t, older, "*.deb"), filepath.Join(dir, "1.0.deb"))
	run(t, "cp", the(t, newer, "*.deb"), filepath.Join(dir, "2.0.deb"))
	fleet(t, dir)
	// A machine on which gitboot-poll.service was enabled before there was the agent.
	run(t, "ln", "-s", "/usr/lib/systemd/system/gitboot-poll.service", filepath.Join(dir, "etc/systemd/system/multi-user.target.wants/gitboot-poll.service"))
	before := listed(t, dir)
	run(t, "chroot", dir, "dpkg", "-i", "/1.0.deb")
	if after := listed(t, dir); after != before {
		t.Errorf("installing changed /boot:\n%s", after)
	}
	write(t, filepath.Join(dir, "etc/gitboot/agent.toml"),
		"repo = \"/srv/fleet\"\nmachine = \"laptop\"\nstage_location = \"UUID=1111-2222:/gitboot\"\n")
	boot(t, dir, "debian.sh")
}
