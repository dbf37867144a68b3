package vm

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

const systemdConfig = `[image.bookworm]
pull        = "REGISTRY/lab:bookworm"
insecure    = true
kernel_args = ["console=ttyS0", "loglevel=6", "no_timer_check"]

[machine.bookworm]
images = ["bookworm"]
boot   = { mode = "managed" }

[machine.bookworm.health]
settle   = "2s"
required = { units = ["systemd-journald.service"], commands = ["systemctl is-active boot-complete.target"] }
wanted   = { units = ["nosuch.service"] }
`

// Debian's systemd says itself when it has booted, and does not end the watcher.
func TestGoodWithSystemd(t *testing.T) {
	s := newEmptySite(t)
	s.push(t, lab.Bookworm)
	if err := s.repo.Write("gitboot.toml", strings.Replace(systemdConfig, "REGISTRY", s.registry.Addr, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.repo.Commit(s.ctx, "Begin"); err != nil {
		t.Fatal(err)
	}
	disk := s.disk(t, lab.DiskOptions{})
	s.run(t, disk, "bookworm", "reconcile", "--once")
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, MemoryMB: 1536})
	ctx, cancel := context.WithTimeout(s.ctx, bootLimit)
	defer cancel()
	for _, line := range []string{`gitboot-watcher: unit nosuch.service: it is inactive`, `gitboot-watcher: deployment [0-9a-f]{64} is good`} {
		m, err := vm.WaitFor(ctx, regexp.MustCompile(line))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%.1f s: %s", m.At.Seconds(), m.Groups[0])
	}
	if err := vm.Stop(); err != nil {
		t.Fatal(err)
	}
	mnt, err := disk.Mount(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	boots, err := deployment.ReadBoots(filepath.Join(mnt, "gitboot"))
	if err != nil || len(boots) != 1 || boots[0].Verdict != deployment.BootGood || len(boots[0].Warnings) != 1 {
		t.Errorf("the records are %+v, %v", boots, err)
	}
}
