//go:build long

package diskboot

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

const ubootStage = "7d0e1c3a-52f0-4f9c-9a44-1f2e3d4c5b6a"

// What is staged for a board boots by U-Boot to the image's init.
func TestLongUBoot(t *testing.T) {
	config, _, _ := strings.Cut(arm64, "\n[machine.small.disk]") // which is not made here
	s := newSiteOf(t, strings.Replace(config, `boot   = { mode = "managed", timeout = 0 }`, `boot   = { loader = "extlinux" }`, 1), lab.SmallARM64)
	must(t, lab.BuildInit(s.ctx, filepath.Dir(s.program), "arm64"))
	top, disk := filepath.Join(s.dir, "top"), filepath.Join(s.dir, "disk")
	for _, dir := range []string{"gitboot", "extlinux"} {
		must(t, errors.Join(os.MkdirAll(filepath.Join(top, dir), 0o700), os.Chown(filepath.Join(top, dir), nobody, nobody)))
	}
	must(t, os.Chown(top, nobody, nobody))
	out, err := s.command("reconcile", "--once", "--machine", "small", "--stage", filepath.Join(top, "gitboot"),
		"--stage-location", "UUID="+ubootStage+":/gitboot", "--boot", filepath.Join(top, "extlinux")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.run(t, "", "truncate", "-s", "600M", disk)
	s.run(t, "", "sh", "-c", "printf 'label: gpt\nstart=2048\n' | sfdisk -q "+disk)
	s.run(t, "", "mke2fs", "-q", "-F", "-t", "ext4", "-U", ubootStage, "-d", top, "-E", "offset=1048576", disk, "500M")
	ctx, cancel := context.WithTimeout(s.ctx, 3*time.Minute)
	defer cancel()
	began := time.Now()
	out, err = exec.CommandContext(ctx, "qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a57", "-accel", "tcg,thread=multi", "-smp", "2", "-m", "512",
		"-bios", "/usr/lib/u-boot/qemu_arm64/u-boot.bin", "-nodefaults", "-display", "none", "-serial", "stdio", "-nic", "none", "-no-reboot",
		"-drive", "if=none,id=disk,format=raw,file="+disk, "-device", "virtio-blk-device,drive=disk").CombinedOutput()
	if err != nil || !regexp.MustCompile(`lab: small started`).Match(out) {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("U-Boot: %.1f s", time.Since(began).Seconds())
}
