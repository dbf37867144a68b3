//go:build long

package diskboot

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// A disk that is made for a board boots by U-Boot to the image's init.
func TestLongUBoot(t *testing.T) {
	config := strings.NewReplacer(`boot   = { mode = "managed", timeout = 0 }`, `boot   = { loader = "extlinux" }`, "40MB", "110MB").Replace(arm64)
	s := newSiteOf(t, config, lab.SmallARM64)
	must(t, lab.BuildInit(s.ctx, filepath.Dir(s.program), "arm64"))
	s.image(t, "a.img")
	ctx, cancel := context.WithTimeout(s.ctx, 3*time.Minute)
	defer cancel()
	began := time.Now()
	out, err := exec.CommandContext(ctx, "qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a57", "-accel", "tcg,thread=multi", "-smp", "2", "-m", "512",
		"-bios", "/usr/lib/u-boot/qemu_arm64/u-boot.bin", "-nodefaults", "-display", "none", "-serial", "stdio", "-nic", "none", "-no-reboot",
		"-drive", "if=none,id=disk,format=raw,file="+filepath.Join(s.dir, "a.img"), "-device", "virtio-blk-device,drive=disk").CombinedOutput()
	if err != nil || !regexp.MustCompile(`lab: small started`).Match(out) {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("U-Boot: %.1f s", time.Since(began).Seconds())
}
