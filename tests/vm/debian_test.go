package vm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// besideStart is what the small system beside Debian does: it says which it is, and whether
// the kernel has a screen.
const besideStart = `#!/bin/sh
exec >/dev/console
echo "lab: small, $(cat /etc/lab-mode), screen: $(cat /proc/fb)"
. /etc/lab-then
`

// A Debian that was installed with its own grub-install and update-grub, with
// gitboot in it: mode menu leaves it the default, grub-reboot asks for
// gitboot's entry once, then it is Debian's turn again; in mode managed
// gitboot's entry is the default, through Debian's update-grub for a new kernel,
// and boots without the password that Debian's entries now want.
func TestInstalledDebian(t *testing.T) {
	s := newEmptySite(t)
	disk := s.debian(t, lab.NewDebian, false)
	if screen := s.liveDebian(t, disk, lab.BIOS, 2); screen != "" {
		t.Errorf("under BIOS the kernel's screen is %q, not VGA's text", screen)
	}
	s.wantsPassword(t, disk)
}

// liveDebian follows the story of testdata/debian/rc.local, in which Debian is
// up so often, and returns which screen the kernel of gitboot's entry has.
func (s *site) liveDebian(t *testing.T, disk *lab.Disk, firmware lab.Firmware, steps int) (screen string) {
	t.Helper()
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: firmware})
	ctx, cancel := context.WithTimeout(s.ctx, storyLimit)
	defer cancel()
	wait := func(line string) string {
		t.Helper()
		m, err := vm.WaitFor(ctx, regexp.MustCompile(line+`|lab: debian failed.*`))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(m.Groups[0], "failed") {
			t.Fatalf("%s; the console ended with:\n%s", m.Groups[0], vm.Tail(40))
		}
		t.Logf("%.1f s: %s", m.At.Seconds(), m.Groups[0])
		return m.Groups[1]
	}
	old := wait(`lab: debian, step 1, kernel (\S+)`)
	wait(`lab: small, (menu)`)
	if got := wait(`lab: debian, step 2, kernel (\S+)`); got != old {
		t.Errorf("Debian's kernel became %s, before it was upgraded", got)
	}
	if steps > 2 {
		if got := wait(`lab: debian, step 3, kernel (\S+)`); got == old {
			t.Errorf("Debian's kernel is still %s", got)
		}
	}
	screen = wait(`lab: small, managed, screen: (.*)`)
	if err := vm.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return screen
}

// storyLimit is many times what the story takes under software emulation.
const storyLimit = 25 * time.Minute

// wantsPassword boots Debian's own entry, for which GRUB asks who is there.
func (s *site) wantsPassword(t *testing.T, disk *lab.Disk) {
	t.Helper()
	mnt, err := disk.Mount(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lab.Run(s.ctx, "grub-editenv", filepath.Join(mnt, "boot/grub/grubenv"), "set", "next_entry=0")
	if err := errors.Join(err, disk.Unmount()); err != nil {
		t.Fatal(err)
	}
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, Snapshot: true})
	ctx, cancel := context.WithTimeout(s.ctx, bootLimit)
	defer cancel()
	if _, err := vm.WaitFor(ctx, regexp.MustCompile(`GNU GRUB`)); err != nil {
		t.Fatal(err)
	}
	// One return for the menu, one for the name, which ends the question's line.
	if err := vm.Send("\r\r"); err != nil {
		t.Fatal(err)
	}
	if _, err := vm.WaitFor(ctx, regexp.MustCompile(`Enter username`)); err != nil {
		t.Error(err)
	}
}

// debian installs gitboot in a Debian, with the config repo at its first commit
// and, in another place, at its second.
func (s *site) debian(t *testing.T, install func(context.Context, string) (*lab.Disk, error), long bool) *lab.Disk {
	t.Helper()
	disk, err := install(s.ctx, filepath.Join(t.TempDir(), "debian.img"))
	if err != nil {
		t.Fatal(err)
	}
	mnt, err := disk.Mount(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.smallTar(t, filepath.Join(mnt, "srv/small.tar"), besideStart)
	copied := map[string]string{
		s.gitboot:                  "usr/local/bin/gitboot",
		s.gitboot + "-init":        "usr/local/lib/gitboot/gitboot-init",
		"testdata/debian/rc.local": "etc/rc.local",
	}
	steps := []func() error{
		func() error { return s.commitDebian("srv/fleet", mnt) },
		func() error { return s.repo.Replace("gitboot.toml", `"menu"`, `"managed"`) },
		func() error { return s.repo.Replace("gitboot.toml", "reboot", "poweroff") },
		func() error { return s.commitDebian("srv/managed", mnt) },
		func() error { return os.MkdirAll(filepath.Join(mnt, "usr/local/lib/gitboot"), 0o755) },
		func() error { return os.MkdirAll(filepath.Join(mnt, "etc/gitboot"), 0o755) },
		func() error {
			return os.WriteFile(filepath.Join(mnt, "etc/gitboot/agent.toml"), []byte("repo = \"/srv/fleet\"\nmachine = \"debian\"\n"), 0o644)
		},
	}
	if long {
		copied[os.DevNull] = "srv/long"
	}
	for from, to := range copied {
		steps = append(steps, func() error {
			data, err := os.ReadFile(from)
			return errors.Join(err, os.WriteFile(filepath.Join(mnt, to), data, 0o755))
		})
	}
	if err := s.repo.CopyDir("testdata/debian/fleet"); err != nil {
		t.Fatal(err)
	}
	for _, step := range append(steps, disk.Unmount) {
		if err := step(); err != nil {
			t.Fatal(errors.Join(err, disk.Unmount()))
		}
	}
	return disk
}

// commitDebian commits the config repo and clones it into the mounted disk.
func (s *site) commitDebian(to, mnt string) error {
	if _, err := s.repo.Commit(s.ctx, "Declare what Debian boots"); err != nil {
		return err
	}
	_, err := lab.Run(s.ctx, "git", "clone", "--quiet", "--no-hardlinks", s.repo.Dir, filepath.Join(mnt, to))
	return err
}
