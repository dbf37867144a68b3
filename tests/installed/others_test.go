package installed

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// What rpm and pacman make of the same description, in a root file system that has
// what the packages' scripts call. That what they depend on is called so there is
// for their distributions to say.
func others(t *testing.T, older, newer string) {
	dir := root(t, lab.Bookworm)
	fleet(t, dir)
	write(t, filepath.Join(dir, "var/lib/gitboot/state.json"), "{}")
	conf := filepath.Join(t.TempDir(), "pacman.conf")
	write(t, conf, "[options]\nArchitecture = x86_64\nSigLevel = Never\n")
	if err := os.MkdirAll(filepath.Join(dir, "var/lib/pacman"), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "ln", "-sf", "bash", filepath.Join(dir, "bin/sh")) // as on Arch and Fedora
	rpm := func(args ...string) []string { return append([]string{"rpm", "--root", dir, "--nodeps"}, args...) }
	pacman := func(args ...string) []string {
		return append([]string{"pacman", "--config", conf, "--root", dir, "--noconfirm", "-dd"}, args...)
	}
	for name, c := range map[string]struct{ install, upgrade, remove []string }{
		"rpm": {rpm("-i", the(t, older, "*.rpm")), rpm("-U", the(t, newer, "*.rpm")), rpm("-e", "gitboot")},
		"pacman": {
			pacman("-U", the(t, older, "*.pkg.tar.zst")), pacman("-U", the(t, newer, "*.pkg.tar.zst")), pacman("-R", "gitboot"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := listed(t, dir)
			run(t, c.install[0], c.install[1:]...)
			within(t, dir, `
				gitboot version
				getent group gitboot
				test -e /usr/share/man/man8/gitboot.8.gz
				test "$(readlink /usr/lib/systemd/system/gitboot-poll.service)" = gitboot.service
				gitboot validate /srv/fleet
				echo 'repo = "/srv/fleet"' >> /etc/gitboot/agent.toml
				systemctl enable gitboot.service`)
			run(t, c.upgrade[0], c.upgrade[1:]...)
			within(t, dir, `
				grep /srv/fleet /etc/gitboot/agent.toml
				test "$(systemctl is-enabled gitboot.service)" = enabled`)
			said := run(t, c.remove[0], c.remove[1:]...)
			if !strings.Contains(said, "the stage /var/lib/gitboot stays") {
				t.Errorf("removing it says only:\n%s", said)
			}
			within(t, dir, `
				test ! -e /usr/bin/gitboot
				test ! -e /etc/systemd/system/multi-user.target.wants/gitboot.service
				test -e /var/lib/gitboot/state.json`)
			if after := listed(t, dir); after != before {
				t.Errorf("/boot is another:\n%s", after)
			}
			within(t, dir, "rm -rf /etc/gitboot")
		})
	}
}

// listed names what is in a root file system's /boot.
func listed(t *testing.T, root string) string {
	t.Helper()
	return run(t, "find", filepath.Join(root, "boot"), "-printf", "%P %s %T@\n")
}

// within runs a script in a root file system.
func within(t *testing.T, root, script string) {
	t.Helper()
	run(t, "chroot", root, "sh", "-eux", "-c", script)
}
