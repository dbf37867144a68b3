//go:build long

package diskboot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// debianARM64 is a Debian for arm64 in which somebody asks gitboot how it is.
const debianARM64 = `[image.small]
kernel_args = ["console=ttyAMA0", "loglevel=5"]
[image.small.build]
from = "archive:ARCHIVE"
run  = ["systemctl enable lab-status.service"]

[machine.small]
arch   = "arm64"
images = ["small"]
hooks  = ["hostname"]
boot   = { mode = "managed", timeout = 0 }
health = { settle = "2s" }

[machine.small.disk]
partitions = [{ role = "esp", size = "40MB" }, { role = "stage", grow = true }]
`

const statusService = `[Unit]
After=getty.target
[Service]
ExecStart=/bin/sh -c 'until gitboot status >/run/status && grep -q "; good" /run/status; do sleep 1; done; (cat /run/status; systemctl is-system-running) | sed "s/^/lab: /" >/dev/console; systemctl poweroff'
[Install]
WantedBy=multi-user.target
`

// A Debian for arm64, whose steps an interpreter executed here, boots from its disk by UEFI
// and GRUB to the login, and says inside that it is good.
func TestLongDebianARM64(t *testing.T) {
	// The first time, these take longer than the rest may.
	rootfs, err := lab.RootFS(t.Context(), lab.SystemdARM64)
	must(t, err)
	top := t.TempDir()
	unit, program := filepath.Join(top, "etc/systemd/system/lab-status.service"), filepath.Join(top, "usr/bin/gitboot")
	must(t, errors.Join(os.MkdirAll(filepath.Dir(unit), 0o755), os.MkdirAll(filepath.Dir(program), 0o755), os.WriteFile(unit, []byte(statusService), 0o644)))
	must(t, lab.BuildFor(t.Context(), "arm64", "gitboot", program))
	s := foreign(t, debianARM64, func(ctx context.Context, path, _ string) error {
		_, err1 := lab.Run(ctx, "cp", rootfs, path)
		// In its user namespace, nobody may make devices; the kernel has its own.
		_, err2 := lab.Run(ctx, "tar", "--wildcards", "--delete", "-f", path, "./dev/*")
		_, err3 := lab.Run(ctx, "tar", "-C", top, "--owner=0", "--group=0", "-rf", path, "etc/systemd/system/lab-status.service", "usr/bin/gitboot")
		return errors.Join(err1, err2, err3)
	}, "2GB")
	s.run(t, "", "chown", strconv.Itoa(nobody), s.dir, filepath.Join(s.dir, "a.img"))
	began := time.Now()
	s.says(t, []string{`small login: `, `lab: small .*; good`, `lab: running`}, "a.img", "uefi", "--memory", "1GB", "--timeout", "4m")
	t.Logf("from power-on until it was off again: %.0f s", time.Since(began).Seconds())
}
