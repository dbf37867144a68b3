//go:build long

package vm

import (
	"bytes"
	"context"
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

// With Secure Boot on, a signed generation boots, and none of which anything was changed:
// the firmware starts no other program, process 1 takes no other manifest, and the kernel
// reads no other layer.
func TestLongSecureBoot(t *testing.T) {
	s := newEmptySite(t)
	archive, key := filepath.Join(s.dir, "small.tar"), filepath.Join(s.dir, "key")
	s.smallTar(t, archive, smallStart+goodEnd)
	out, err := exec.Command("openssl", "rsa", "-in", lab.SnakeoilKey, "-passin", "pass:snakeoil", "-out", key).CombinedOutput()
	need.Done(t, err, out)
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	disk := s.disk(t, lab.DiskOptions{})
	if err := disk.InstallSystemdBoot(s.ctx); err != nil {
		t.Fatal(err)
	}
	s.commitSmall(t, strings.Replace(smallFleet, "insecure    = true", "insecure    = true\nverity      = \"enforce\"", 1), archive)
	s.runESP(t, disk, "reconcile", "--once")
	image := filepath.Join(s.dir, "small.efi")
	said := s.runESP(t, disk, "boot", "uki", "small", "-o", image, "--key", key, "--certificate", lab.SnakeoilCertificate)
	if strings.Contains(said, "not covered") {
		t.Errorf("it says:\n%s", said)
	}
	good, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	s.starts(t, disk, good)
	s.expect(t, disk, lab.SecureUEFI, `lab: /bin/busybox started small on overlay`, `Power down`)

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
	s.refused(t, disk, `was changed or is damaged|is corrupted|verity`)
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
