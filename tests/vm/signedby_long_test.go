//go:build long

package vm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/reconciler/placement"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// What the agent of another machine has signed, with nobody there, boots with Secure Boot
// on: what there was when it began, and what a commit changes after that. Until then the
// machine waits.
func TestLongSignedByAgent(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.smallTar(t, archive, smallStart+goodEnd)
	_, _, err := s.registry.Push(s.ctx, "lab/small:1", nil, lab.Layer{Path: archive})
	need.Done(t, err)
	s.snakeoil(t)
	at, err := placement.Of(&spec.Wants{Machine: "small", Boot: spec.Boot{Loader: layout.SystemdBoot}})
	need.Done(t, err)
	disk := s.disk(t, lab.DiskOptions{UUID: at.Stage.UUID, ESPUUID: at.Boot.UUID})
	need.Done(t, disk.InstallSystemdBoot(s.ctx))
	s.runESP(t, disk, "keys", "sign", "ESP/EFI/BOOT/BOOTX64.EFI", "ESP/EFI/systemd/systemd-bootx64.efi")

	fleet := strings.Replace(secureFleet(), `archive = "ARCHIVE"`, `pull = "`+s.registry.Addr+`/lab/small:1"`, 1)
	fleet = strings.Replace(fleet, "secure_boot = true", `secure_boot = true, signed_by = "builder"`, 1) + "[machine.builder]\nimages = [\"small\"]\n"
	s.commitSmall(t, fleet, archive)
	certificate := filepath.Join(s.dir, "certificate")
	text, err := os.ReadFile(filepath.Join(s.dir, "keys/db.crt"))
	need.Done(t, errors.Join(err, os.Mkdir(certificate, 0o700), os.WriteFile(filepath.Join(certificate, "db.crt"), text, 0o600)))
	need.Done(t, s.settings(certificate, at.Boot.UUID))
	s.waits(t, disk)

	signed := s.builder(t)
	signed(t)
	const started = `lab: /bin/busybox started small on overlay`
	s.runESP(t, disk, "reconcile", "--once")
	s.expect(t, disk, lab.SecureUEFI, `UEFI Secure Boot is enabled`, `lab: .*gitboot.trying=counted`, started, `Power down`)
	s.commitSmall(t, strings.Replace(fleet, `"panic=1"`, `"panic=1", "lab.second"`, 1), archive)
	signed(t)
	s.runESP(t, disk, "reconcile", "--once")
	s.expect(t, disk, lab.SecureUEFI, `UEFI Secure Boot is enabled`, `lab: .*gitboot.trying=counted .*lab.second`, started, `Power down`)
	s.counted(t, disk, `^gitboot-small-[0-9a-f]{16}\.conf$`, `^gitboot-small-[0-9a-f]{16}\.conf$`)
}

// waits wants the small machine to wait for a signature.
func (s *site) waits(t *testing.T, disk *lab.Disk) {
	t.Helper()
	if said := s.runESP(t, disk, "reconcile", "--once"); !strings.Contains(said, "waits for a signature of deployment") {
		t.Errorf("what nobody has signed does not wait:\n%s", said)
	}
	if entries, _ := disk.Entries(s.ctx); len(entries) > 0 { // it fails where there is not even the folder
		t.Errorf("there are entries already: %v", entries)
	}
}

// builder runs the agent of the machine that signs, until the test ends. What it returns
// waits until something more was signed.
func (s *site) builder(t *testing.T) (signed func(t *testing.T)) {
	t.Helper()
	dir := filepath.Join(s.dir, "builder")
	config, grub := filepath.Join(dir, "agent.toml"), filepath.Join(dir, "grub")
	need.Done(t, os.MkdirAll(grub, 0o755))
	need.Done(t, errors.Join(os.WriteFile(filepath.Join(grub, "grub.cfg"), nil, 0o644), os.WriteFile(config, fmt.Appendf(nil,
		"repo = %q\nmachine = \"builder\"\nstage = %q\nboot = %q\nstage_location = \"UUID=6e2789dd-2103-4217-97fa-df5508bf737f:/gitboot\"\nsigning_keys = %q\n",
		s.repo.Dir, filepath.Join(dir, "stage"), grub, filepath.Join(s.dir, "keys")), 0o600)))
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Minute)
	agent := exec.CommandContext(ctx, s.gitboot, "agent", "--poll", "200ms", "--config", config)
	out, err := agent.StderrPipe()
	need.Done(t, err)
	need.Done(t, agent.Start())
	t.Cleanup(func() {
		cancel()
		_ = agent.Wait() // killed
	})
	lines := bufio.NewScanner(out)
	return func(t *testing.T) {
		t.Helper()
		var said []string
		for lines.Scan() {
			if said = append(said, lines.Text()); strings.Contains(lines.Text(), "signed what another machine boots") {
				return
			}
		}
		t.Fatalf("nothing is signed: %v\n%s", lines.Err(), strings.Join(said, "\n"))
	}
}
