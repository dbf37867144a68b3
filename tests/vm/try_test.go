package vm

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

const tryConfig = `[defaults.image]
insecure    = true
kernel_args = ["console=ttyS0", "loglevel=5", "no_timer_check"]

[image.small]
archive = "ARCHIVE"

[machine.small]
images = ["small"]
hooks  = ["hostname"]
boot   = { mode = "managed" }
`

// Somebody else's image boots once, with this machine's name, and then what boots
// by itself again; after that it is gone. GRUB cannot read the stage, and finds
// what it is asked for on /boot.
func TestTry(t *testing.T) {
	s := newEmptySite(t)
	archive, foreign := filepath.Join(s.dir, "small.tar"), filepath.Join(s.dir, "foreign.tar")
	s.busyboxTar(t, archive, busyboxStart)
	s.busyboxTar(t, foreign, strings.Replace(busyboxStart, "poweroff", "echo lab: tried\nreboot", 1))
	if _, _, err := s.registry.Push(s.ctx, "steve/gaming:1", nil, lab.Layer{Path: foreign}); err != nil {
		t.Fatal(err)
	}
	if err := s.repo.Write("gitboot.toml", strings.Replace(tryConfig, "ARCHIVE", archive, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.repo.Commit(s.ctx, "Begin small"); err != nil {
		t.Fatal(err)
	}
	disk := s.disk(t, lab.DiskOptions{OtherSystem: true, BootApart: true})
	s.run(t, disk, "small", "reconcile", "--once")
	s.run(t, disk, "small", "try", s.registry.Addr+"/steve/gaming:1")
	vm := s.start(t, lab.VMOptions{Disk: disk.Path})
	ctx, cancel := context.WithTimeout(s.ctx, bootLimit)
	defer cancel()
	for _, line := range []string{
		`lab: BOOT_IMAGE=.* gitboot.trying=1 `, `lab: /bin/busybox started small on overlay`, `lab: tried`,
		`lab: BOOT_IMAGE=.* gitboot.machine=small panic=30 `, `lab: /bin/busybox started small on overlay`, `Power down`,
	} {
		m, err := vm.WaitFor(ctx, regexp.MustCompile(line))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%.1f s: %s", m.At.Seconds(), m.Groups[0])
	}
	if err := vm.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if out := s.run(t, disk, "small", "reconcile", "--once"); !strings.Contains(out, "no generation names it") {
		t.Errorf("what was tried is not removed:\n%s", out)
	}
}
