package vm

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// smallFleet has one machine, whose image is ARCHIVE. What is to come may take its
// time.
const smallFleet = `[defaults.image]
insecure    = true
kernel_args = ["console=ttyS0", "loglevel=5", "no_timer_check", "panic=1"]

[image.small]
archive = "ARCHIVE"

[machine.small]
images = ["small"]
hooks  = ["hostname"]
boot   = { mode = "managed", tries = 1 }

[machine.small.health]
settle   = "1s"
deadline = "10m"
`

// smallStart is what the small system does: it says what it is and how it was started,
// and then what a test adds.
const smallStart = `#!/bin/sh
exec >/dev/console 2>&1
while read -r source path type rest; do
	[ "$path" = / ] && root=$type
done </proc/mounts
read -r options </proc/cmdline
echo "lab: $options"
echo "lab: $(readlink /proc/1/exe) started $(cat /etc/hostname) on $root"
`

// goodEnd switches the machine off once it is known to be good, or was known to be.
const goodEnd = `(
	read -r boot </proc/sys/kernel/random/boot_id
	case $options in
	*gitboot.trying=1*) trying=1 ;;
	*gitboot.trying=counted*) [ ! -f /run/initramfs/gitboot/boots/$boot.json ] || trying=1 ;;
	esac
	case $trying in
	1) until busybox grep -qs '"verdict": "good"' /run/initramfs/gitboot/boots/$boot.json; do busybox sleep 0.3; done ;;
	esac
	poweroff
) &
`

// panicEnd is the end of a kernel.
const panicEnd = `echo 1 >/proc/sys/kernel/sysrq
echo c >/proc/sysrq-trigger
`

// The smallest system that one could want, one program with busybox's own init, on a
// machine whose GRUB cannot read the stage and finds kernels and initramfs on /boot.
// Somebody else's image boots once, with this machine's name, and then what boots by
// itself again, which is on trial, and good; what was tried is gone after that. What
// comes after it ends the kernel: when its tries are used up, the good one is back.
// GRUB counts under BIOS and under UEFI.
func TestSmallMachine(t *testing.T) {
	s := newEmptySite(t)
	archive, foreign, bad := filepath.Join(s.dir, "small.tar"), filepath.Join(s.dir, "foreign.tar"), filepath.Join(s.dir, "bad.tar")
	s.smallTar(t, archive, smallStart+goodEnd)
	s.smallTar(t, foreign, smallStart+"echo lab: tried\nreboot\n")
	s.smallTar(t, bad, smallStart+panicEnd)
	if _, _, err := s.registry.Push(s.ctx, "steve/gaming:1", nil, lab.Layer{Path: foreign}); err != nil {
		t.Fatal(err)
	}
	disk := s.disk(t, lab.DiskOptions{OtherSystem: true, BootApart: true})
	s.publishSmall(t, disk, smallFleet, archive)
	s.run(t, disk, "small", "try", s.registry.Addr+"/steve/gaming:1")
	const once, again = `lab: BOOT_IMAGE=/grub/gitboot/[0-9a-f]{64} .* gitboot.trying=1 `, `lab: BOOT_IMAGE=/grub/gitboot/[0-9a-f]{64} .* gitboot.machine=small panic=`
	const started = `lab: /bin/busybox started small on overlay`
	s.expect(t, disk, lab.BIOS, once, started, `lab: tried`, once, started, `Power down`)

	s.publishSmall(t, disk, smallFleet, bad)
	if out := s.run(t, disk, "small", "reconcile", "--once"); strings.Contains(out, "tried") {
		t.Errorf("what was tried is not removed:\n%s", out)
	}
	s.expect(t, disk, lab.UEFI, once, started, `Kernel panic`, again, started, `Power down`)
	s.run(t, disk, "small", "reconcile", "--once")
	if out, _ := s.runs(t, disk, "small", "status"); !regexp.MustCompile(`small +2 .*bad`).MatchString(out) {
		t.Errorf("the status does not say what is bad:\n%s", out)
	}
}

// publishSmall makes an archive the small machine's image.
func (s *site) publishSmall(t *testing.T, disk *lab.Disk, fleet, archive string) {
	t.Helper()
	s.commitSmall(t, fleet, archive)
	s.run(t, disk, "small", "reconcile", "--once")
}

func (s *site) commitSmall(t *testing.T, fleet, archive string) {
	t.Helper()
	if err := s.repo.Write("gitboot.toml", strings.Replace(fleet, "ARCHIVE", archive, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.repo.Commit(s.ctx, "Take "+filepath.Base(archive)); err != nil {
		t.Fatal(err)
	}
}

// smallTar writes a root file system of busybox, with Debian's kernel, that runs start
// when it is up.
func (s *site) smallTar(t *testing.T, path, start string) {
	t.Helper()
	if err := lab.Small(s.ctx, path, start); err != nil {
		t.Fatal(err)
	}
}

// expect runs the machine until it is off, and wants these lines on its console,
// in this order. It returns when each came.
func (s *site) expect(t *testing.T, disk *lab.Disk, firmware lab.Firmware, lines ...string) (at []time.Duration) {
	t.Helper()
	return s.expectWith(t, lab.VMOptions{Disk: disk.Path, Firmware: firmware}, lines...)
}

// expectWith is expect for any machine.
func (s *site) expectWith(t *testing.T, o lab.VMOptions, lines ...string) (at []time.Duration) {
	t.Helper()
	vm := s.start(t, o)
	at = s.follow(t, vm, lines...)
	if err := vm.Wait(s.ctx); err != nil {
		t.Fatal(err)
	}
	return at
}

// follow waits for these lines on a running machine's console.
func (s *site) follow(t *testing.T, vm *lab.VM, lines ...string) (at []time.Duration) {
	t.Helper()
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
	return at
}
