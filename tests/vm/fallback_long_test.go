//go:build long

package vm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot/grub/env"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

// fallbackFleet has a machine that is well when a file is there, and waits for that as
// long as DEADLINE.
const fallbackFleet = `[image.small]
archive     = "ARCHIVE"
kernel_args = ["console=ttyS0", "loglevel=6", "no_timer_check", "panic=1"]

[machine.small]
images = ["small"]
hooks  = ["hostname"]
boot   = { mode = "managed", tries = 3 }

[machine.small.health]
settle   = "1s"
deadline = "DEADLINE"

[machine.small.health.required]
commands = ["busybox test -e /well"]
`

// goodStart is well.
const goodStart = smallStart + "echo lab: good began\nbusybox touch /well\n" + goodEnd

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
	s.smallTar(t, good, goodStart)
	s.smallTar(t, bad, badStart)
	disk := s.disk(t, lab.DiskOptions{})
	s.publishSmall(t, disk, strings.Replace(fallbackFleet, "DEADLINE", "10m", 1), good)
	s.expect(t, disk, lab.BIOS, `lab: .* gitboot.trying=1 `, `lab: good began`, `gitboot-watcher: deployment [0-9a-f]{64} is good`, `Power down`)

	s.publishSmall(t, disk, strings.Replace(fallbackFleet, "DEADLINE", "8s", 1), bad)
	at := s.expect(t, disk, lab.BIOS,
		`lab: bad began, boot 1`, `is bad: it was not well within 8 s: command busybox test -e /well: exit status 1`,
		`lab: bad began, boot 2`, `Kernel panic`,
		`lab: bad began, boot 3`, `is bad: it was not well within 8 s: the boot has not ended: init still runs /etc/rc`,
		`lab: good began`, `Power down`)
	t.Logf("from the first bad boot to the good one, with three that failed: %.1f s; from the last verdict: %.1f s",
		(at[6] - at[0]).Seconds(), (at[6] - at[5]).Seconds())

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
