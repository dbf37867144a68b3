//go:build long

package diskboot

import (
	"bufio"
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
)

const raspberryPi = `[image.small]
archive     = "ARCHIVE"
kernel_args = ["console=ttyS1,115200", "loglevel=5"]

[machine.small]
arch   = "arm64"
images = ["small"]
hooks  = ["hostname"]
boot   = { mode = "managed", loader = "rpi" }

[machine.small.disk]
partitions = [{ role = "esp", size = "100MB" }, { role = "stage", grow = true }]
`

// onPi is what QEMU's board, which has no such firmware, is started with in its place: what
// config.txt of the disk says.
const onPi = `set -e
mcopy -i a.img@@1M ::/config.txt - >config.txt
for key in kernel initramfs cmdline; do
	file=$(sed -n "s|^$key[= ]/\\([^ ]*\\).*|\\1|p" config.txt)
	mcopy -i a.img@@1M "::/$file" $key
done
mcopy -i a.img@@1M ::/bcm2837-rpi-3-b.dtb tree
truncate -s 512M a.img # as cards are
exec qemu-system-aarch64 -M raspi3b -display none -no-reboot -serial null -serial stdio \
	-drive if=sd,format=raw,file=a.img -kernel kernel -initrd initramfs -dtb tree -append "$(cat cmdline)"
`

// What config.txt of a Raspberry Pi's disk names boots a Raspberry Pi 3 from it, as a card:
// kernel, initramfs with the drivers for it, device tree, arguments.
func TestLongRaspberryPi(t *testing.T) {
	s := newSiteOf(t, raspberryPi, func(ctx context.Context, path, start string) error {
		top := t.TempDir()
		dir := filepath.Join(top, "usr/lib/raspi-firmware")
		err := os.MkdirAll(dir, 0o755)
		for _, name := range []string{"bootcode.bin", "start.elf", "fixup.dat"} { // which nothing here starts
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644))
		}
		err = errors.Join(err, lab.SmallBoard(ctx, path, start))
		_, appended := lab.Run(ctx, "tar", "-C", top, "--owner=0", "--group=0", "-rf", path, "usr/lib/raspi-firmware")
		return errors.Join(err, appended)
	})
	must(t, lab.BuildInit(s.ctx, filepath.Dir(s.program), "arm64"))
	s.image(t, "a.img")
	ctx, cancel := context.WithTimeout(s.ctx, 4*time.Minute)
	defer cancel()
	began := time.Now()
	cmd := exec.CommandContext(ctx, "sh", "-c", onPi)
	cmd.Dir, cmd.WaitDelay = s.dir, time.Second
	console, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var said strings.Builder
	for lines := bufio.NewScanner(console); lines.Scan() && !strings.Contains(said.String(), "lab: small started"); {
		fmt.Fprintln(&said, strings.ToValidUTF8(lines.Text(), "?"))
	}
	cancel() // QEMU's board stays on when it is told to power off
	if err := cmd.Wait(); !regexp.MustCompile(`(?s)lab: .*gitboot.trying=1.*lab: small started`).MatchString(said.String()) {
		t.Errorf("it says, and then %v:\n%s", err, said.String())
	}
	t.Logf("%.1f s", time.Since(began).Seconds())
}
