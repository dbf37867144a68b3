//go:build long

package vm

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot/grub/env"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

const fallbackConfig = `[image.small]
archive     = "ARCHIVE"
kernel_args = ["console=ttyS0", "loglevel=6", "no_timer_check", "panic=1"]

[machine.small]
images = ["small"]
hooks  = ["hostname"]
boot   = { mode = "managed", tries = 3 }

[machine.small.health]
settle   = "1s"
deadline = "8s"

[machine.small.health.required]
commands = ["busybox test -e /well"]
`

// goodStart is well, and switches the machine off once it is known to be good, or
// was known to be.
const goodStart = `#!/bin/sh
exec >/dev/console 2>&1
read -r options </proc/cmdline
echo "lab: good began with $options"
busybox touch /well
(
	case $options in
	*gitboot.trying=1*) until busybox grep -qs '"verdict": "good"' /run/initramfs/gitboot/boots/*; do busybox sleep 0.3; done ;;
	esac
	echo "lab: good"
	poweroff
) &
`

// badStart fails in another way each time: it is not well; its kernel panics; it
// hangs before its init has come to an end.
const badStart = `#!/bin/sh
exec >/dev/console 2>&1
read -r options </proc/cmdline
id=${options##*gitboot.deployment=}
n=$(busybox grep -l "${id%% *}" /run/initramfs/gitboot/boots/* | busybox wc -l)
echo "lab: bad began, boot $n"
case $n in
2)
	echo 1 >/proc/sys/kernel/sysrq
	echo c >/proc/sysrq-trigger
	;;
3) while :; do busybox sleep 60; done ;;
esac
`

// A deployment that fails three times gives way, by itself, to the one that was
// found good before, and why is on the stage.
func TestLongFallBack(t *testing.T) {
	s := newEmptySite(t)
	good, bad := filepath.Join(s.dir, "good.tar"), filepath.Join(s.dir, "bad.tar")
	s.busyboxTar(t, good, goodStart)
	s.busyboxTar(t, bad, badStart)
	disk := s.disk(t, lab.DiskOptions{})
	s.publishArchive(t, disk, good)
	s.expect(t, disk, `lab: good began with .* gitboot.trying=1 `, `gitboot-watcher: deployment [0-9a-f]{64} is good`, `Power down`)

	s.publishArchive(t, disk, bad)
	at := s.expect(t, disk,
		`lab: bad began, boot 1`, `is bad: it was not well within 8 s: command busybox test -e /well: exit status 1`,
		`lab: bad began, boot 2`, `Kernel panic`,
		`lab: bad began, boot 3`, `is bad: it was not well within 8 s: the boot has not ended: init still runs /etc/rc`,
		`lab: good began with `, `lab: good`, `Power down`)
	t.Logf("from the first bad boot to the good one, with three that failed: %.1f s; from the last verdict: %.1f s",
		(at[7] - at[0]).Seconds(), (at[7] - at[5]).Seconds())

	mnt, err := disk.Mount(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	boots, err := deployment.ReadBoots(filepath.Join(mnt, "gitboot"))
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []string
	for _, b := range boots {
		if b.Deployment != "" { // the others are of the system that runs this test
			verdicts = append(verdicts, b.Verdict)
		}
	}
	if got := strings.Join(verdicts, ","); !strings.HasSuffix(got, "bad,,bad,good") {
		t.Errorf("the records say %q, the newest first", got)
	}
	data, err := os.ReadFile(filepath.Join(mnt, "gitboot", deployment.BlockFile))
	if err != nil {
		t.Fatal(err)
	}
	block, err := env.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := block.Get("gitboot_left"); left != "0" {
		t.Errorf("%s tries are left", left)
	}
}

// publishArchive makes an archive the machine's image.
func (s *site) publishArchive(t *testing.T, disk *lab.Disk, archive string) {
	t.Helper()
	if err := s.repo.Write("gitboot.toml", strings.Replace(fallbackConfig, "ARCHIVE", archive, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.repo.Commit(s.ctx, "Take "+filepath.Base(archive)); err != nil {
		t.Fatal(err)
	}
	s.run(t, disk, "small", "reconcile", "--once")
}

// expect runs the machine until it is off, and wants these lines on its console,
// in this order. It returns when each came.
func (s *site) expect(t *testing.T, disk *lab.Disk, lines ...string) (at []time.Duration) {
	t.Helper()
	vm := s.start(t, lab.VMOptions{Disk: disk.Path})
	ctx, cancel := context.WithTimeout(s.ctx, time.Duration(1+len(lines)/4)*bootLimit) // several boots
	defer cancel()
	for _, line := range lines {
		m, err := vm.WaitFor(ctx, regexp.MustCompile(line))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%.1f s: %s", m.At.Seconds(), m.Groups[0])
		at = append(at, m.At)
	}
	if err := vm.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return at
}
