//go:build long

package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// secureFleet has all of what boots be signed.
func secureFleet() string {
	s := strings.Replace(smallFleet, "insecure    = true", "insecure    = true\nverity      = \"enforce\"", 1)
	return strings.Replace(s, `mode = "managed"`, `mode = "managed", loader = "systemd-boot", secure_boot = true`, 1)
}

// With Secure Boot on, systemd-boot starts signed programs, which are counted as any
// entries are: one is good, the next ends the kernel and is used up, the good one is
// back. Nothing boots of which anything was changed: the firmware starts no other
// program, process 1 takes no other manifest, and the kernel reads no other layer.
func TestLongSecureBoot(t *testing.T) {
	s := newEmptySite(t)
	archive, bad := filepath.Join(s.dir, "small.tar"), filepath.Join(s.dir, "bad.tar")
	s.smallTar(t, archive, smallStart+goodEnd)
	s.smallTar(t, bad, smallStart+panicEnd)
	s.snakeoil(t)
	disk := s.disk(t, lab.DiskOptions{})
	if err := disk.InstallSystemdBoot(s.ctx); err != nil {
		t.Fatal(err)
	}
	s.commitSmall(t, secureFleet(), archive)
	s.runESP(t, disk, "keys", "sign", "ESP/EFI/BOOT/BOOTX64.EFI", "ESP/EFI/systemd/systemd-bootx64.efi")
	s.runESP(t, disk, "reconcile", "--once")
	if said, err := s.runsESP(t, disk, "keys", "status"); err != nil || strings.Count(said, "signed by") != 3 {
		t.Errorf("not all is signed: %v", err)
	}
	s.counted(t, disk, `^gitboot-small-[0-9a-f]{16}\+1\.conf$`)
	const booted, started = `lab: .*gitboot.block=UUID=5D1B-0E5A:/loader/entries gitboot.trying=counted`, `lab: /bin/busybox started small on overlay`
	s.expect(t, disk, lab.SecureUEFI, booted, started, `Power down`)
	s.counted(t, disk, `^gitboot-small-[0-9a-f]{16}\.conf$`)

	s.commitSmall(t, secureFleet(), bad)
	s.runESP(t, disk, "reconcile", "--once")
	s.expect(t, disk, lab.SecureUEFI, booted, started, `Kernel panic`, booted, started, `Power down`)
	s.counted(t, disk, `^gitboot-small-[0-9a-f]{16}\+0-1\.conf$`, `^gitboot-small-[0-9a-f]{16}\.conf$`)
	s.runESP(t, disk, "reconcile", "--once")
	if out, _ := s.runsESP(t, disk, "status"); !regexp.MustCompile(`small +2 .*bad`).MatchString(out) {
		t.Errorf("the status does not say what is bad:\n%s", out)
	}

	var good []byte
	if err := disk.ESP(s.ctx, func(esp string) (err error) { good, err = entryProgram(esp); return err }); err != nil {
		t.Fatal(err)
	}
	s.starts(t, disk, bytes.Replace(good, []byte("gitboot.deployment="), []byte("gitboot.deploymenT="), 1))
	s.refused(t, disk, `Access Denied|Security Violation`)

	s.starts(t, disk, good)
	s.spoil(t, disk, "deployments/*.json", func(data []byte) []byte { return append(data, ' ') })
	s.refused(t, disk, `hashes to [0-9a-f]{64}: the file was changed`)
	s.spoil(t, disk, "deployments/*.json", func(data []byte) []byte { return data[:len(data)-1] })

	s.spoil(t, disk, "objects/sha256/*", func(data []byte) []byte {
		if bytes.HasPrefix(data, []byte("hsqs")) {
			data[200] ^= 1
		}
		return data
	})
	s.refused(t, disk, `device-mapper: verity: [0-9:]+: data block [0-9]+ is corrupted`)
}

// Where the key is not, a machine boots what was signed where it is: the programs it
// makes itself, of an image in a registry, and the signatures it finds there.
func TestLongSignedElsewhere(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.smallTar(t, archive, smallStart+goodEnd)
	if _, _, err := s.registry.Push(s.ctx, "lab/small:1", nil, lab.Layer{Path: archive}); err != nil {
		t.Fatal(err)
	}
	s.snakeoil(t)
	disk := s.disk(t, lab.DiskOptions{})
	if err := disk.InstallSystemdBoot(s.ctx); err != nil {
		t.Fatal(err)
	}
	s.runESP(t, disk, "keys", "sign", "ESP/EFI/BOOT/BOOTX64.EFI", "ESP/EFI/systemd/systemd-bootx64.efi")
	s.commitSmall(t, strings.Replace(secureFleet(), `archive = "ARCHIVE"`, `pull = "`+s.registry.Addr+`/lab/small:1"`, 1), archive)
	key, away := filepath.Join(s.dir, "keys/db.key"), filepath.Join(s.dir, "db.key")
	need.Done(t, os.Rename(key, away))
	if said, err := s.runsESP(t, disk, "reconcile", "--once"); err != nil || !strings.Contains(said, "gitboot keys publish small") {
		t.Fatalf("what nobody has signed does not wait: %v\n%s", err, said)
	}
	need.Done(t, os.Rename(away, key))
	out, err := exec.CommandContext(s.ctx, s.gitboot, "keys", "publish", "small", "--repo", s.repo.Dir, "--stage", filepath.Join(s.dir, "made"),
		"--stage-location", "UUID="+disk.UUID+":/gitboot", "--config", filepath.Join(s.dir, "agent.toml")).CombinedOutput()
	need.Done(t, err, out)
	need.Done(t, os.Rename(key, away))
	s.runESP(t, disk, "reconcile", "--once")
	s.expect(t, disk, lab.SecureUEFI, `lab: .*gitboot.trying=counted`, `lab: /bin/busybox started small on overlay`, `Power down`)
	s.counted(t, disk, `^gitboot-small-[0-9a-f]{16}\.conf$`)
}

// snakeoil makes keys of which firmware for tests trusts the one that signs.
func (s *site) snakeoil(t *testing.T) {
	t.Helper()
	key := filepath.Join(s.dir, "key")
	out, err := exec.Command("openssl", "rsa", "-in", lab.SnakeoilKey, "-passin", "pass:snakeoil", "-out", key).CombinedOutput()
	need.Done(t, err, out)
	if err := errors.Join(os.Chmod(key, 0o600), s.settings(filepath.Join(s.dir, "keys"), "5D1B-0E5A")); err != nil {
		t.Fatal(err)
	}
	out, err = exec.Command(s.gitboot, "keys", "create", "--config", filepath.Join(s.dir, "agent.toml"), "--key", key, "--certificate", lab.SnakeoilCertificate).CombinedOutput()
	need.Done(t, err, out)
}

// settings are where a machine's keys are, and which file system its firmware starts from.
func (s *site) settings(keys, esp string) error {
	text := fmt.Sprintf("signing_keys = %q\nboot_location = \"UUID=%s:/\"\n", keys, esp)
	return os.WriteFile(filepath.Join(s.dir, "agent.toml"), []byte(text), 0o600)
}

// entryProgram is the program of the entry that boots by itself.
func entryProgram(esp string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(esp, "loader/entries/gitboot-small-*.conf"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		m := regexp.MustCompile(`(?ms)^sort-key !gitboot-0$.*^efi (\S+)$`).FindSubmatch(text)
		if m != nil {
			return os.ReadFile(filepath.Join(esp, string(m[1])))
		}
	}
	return nil, fmt.Errorf("none of %v boots by itself", files)
}

// starts has the firmware start a program.
func (s *site) starts(t *testing.T, d *lab.Disk, program []byte) {
	t.Helper()
	err := d.ESP(s.ctx, func(esp string) error {
		return os.WriteFile(filepath.Join(esp, "EFI/BOOT/BOOTX64.EFI"), program, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// spoil changes files of the stage.
func (s *site) spoil(t *testing.T, d *lab.Disk, glob string, change func([]byte) []byte) {
	t.Helper()
	s.look(t, d, func(mnt string) error {
		files, err := filepath.Glob(filepath.Join(mnt, "gitboot", glob))
		if err != nil || len(files) == 0 {
			t.Fatalf("there is no %s: %v", glob, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err == nil {
				err = os.WriteFile(file, change(data), 0o600)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// refused starts the machine, and wants this on its console and no system.
func (s *site) refused(t *testing.T, d *lab.Disk, says string) {
	t.Helper()
	vm := s.start(t, lab.VMOptions{Disk: d.Path, Firmware: lab.SecureUEFI, Snapshot: true})
	ctx, cancel := context.WithTimeout(s.ctx, 2*time.Minute)
	defer cancel()
	m, err := vm.WaitFor(ctx, regexp.MustCompile(`lab: .* started |`+says))
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("%.1f s: %s", m.At.Seconds(), m.Groups[0]); strings.HasPrefix(m.Groups[0], "lab: ") {
		t.Errorf("it boots, and was to say %s", says)
	}
	if err := vm.Stop(); err != nil {
		t.Error(err)
	}
}
