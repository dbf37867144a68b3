package initramfs_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot/grub/env"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/need"
)

const watchedEntry = "gitboot-test-1"

// lifeScript is the init of a machine that goes on living across restarts: each
// boot fails in another way. What the watcher wrote says which it is.
const lifeScript = `#!/bin/busybox sh
b=/bin/busybox
stage=/run/initramfs/gitboot
say() { echo "T: $*" > /dev/console; }
until_there() { until $b grep -q "$@" 2>/dev/null; do $b sleep 0.2; done; }
watcher() { $b grep -ls '^@gitboot-watcher' /proc/[0-9]*/cmdline | $b cut -d/ -f3 | $b grep .; }
n=$($b ls $stage/boots | $b wc -l)
say "boot $n"
record=$stage/boots/$($b cat /proc/sys/kernel/random/boot_id).json
say "stage $($b awk '$2 == "/run/initramfs/gitboot" {print substr($4, 1, 2)}' /proc/mounts)"
case $n in
1)
	pid=$(watcher)
	say "watcher $($b cat /proc/$pid/comm) session $($b awk '{print $6 == $1}' /proc/$pid/stat) oom $($b cat /proc/$pid/oom_score_adj) files $($b ls /proc/$pid/fd | $b wc -l)"
	$b sleep 3
	$b grep -E 'VmRSS|RssAnon|RssFile|RssShmem|Threads' /proc/$pid/status | while read l; do say memory $l; done
	$b grep -E '^(Pss|Private)' /proc/$pid/smaps_rollup | while read l; do say memory $l; done
	$b touch /well /run/gitboot/confirm
	until_there '"verdict": "good"' $record
	while watcher >/dev/null; do $b sleep 0.2; done
	say "stage $($b awk '$2 == "/run/initramfs/gitboot" {print substr($4, 1, 2)}' /proc/mounts) again"
	$b reboot -f
	;;
2) while :; do $b sleep 60; done ;;
3)
	$b touch /well
	while :; do $b sleep 60; done
	;;
4)
	$b insmod /lib/modules/watchdog.ko
	$b insmod /lib/modules/softdog.ko
	until_there 'feeding the watchdog' /dev/kmsg
	$b kill -STOP $(watcher)
	say "stopped"
	while :; do $b sleep 60; done
	;;
5)
	$b kill -TERM $(watcher)
	while watcher >/dev/null; do $b sleep 0.2; done
	exit 0
	;;
6)
	$b mount -t pstore pstore /sys/fs/pstore
	say "pstore holds $($b ls /sys/fs/pstore | $b wc -l)"
	$b poweroff -f
	;;
esac
`

// TestWatcher lives through six boots of one machine.
func TestWatcher(t *testing.T) {
	need.Long(t)
	need.Programs(t, "qemu-system-x86_64", "mke2fs", "debugfs", "tar2sqfs", "tar", "apt-get", "apt-cache", "dpkg-deb")
	s := watchedStage(t)
	console := s.live(t)
	t.Log(strings.Join(regexp.MustCompile(`(T: .*|gitboot-\w+: .*)`).FindAllString(console, -1), "\n"))
	want(t, console, "T: boot 1\n", "T: watcher gitboot-watcher session 1 oom -1000", "T: stage ro\n", "T: stage ro again\n", "T: boot 2\n", "T: boot 3\n",
		"T: stopped\n", "T: boot 5\n", "Attempted to kill init",
		"gitboot-init: noted how the kernel of boot ", "Kernel panic - not syncing: Attempted to kill init", "T: boot 6\n", "T: pstore holds 0\n")

	boots := s.records(t)
	if len(boots) != 6 {
		t.Fatalf("there are %d records", len(boots))
	}
	for i, c := range []struct{ verdict, reason, log string }{
		{deployment.BootGood, "", ""},
		{deployment.BootBad, "it was not well within 8 s: command /bin/well: exit status 1: not yet", "deployment " + s.id + " is bad"},
		{deployment.BootBad, "nobody confirmed it within 4 s: /run/gitboot/confirm did not come", "gitboot-init: entering"},
		{}, {}, {},
	} {
		b := boots[len(boots)-1-i]
		if b.Verdict != c.verdict || b.Reason != c.reason || !strings.Contains(b.Log, c.log) || b.Deployment != s.id || b.Entry != watchedEntry || !b.Trying || b.Machine != "m" {
			b.Log = b.Log[max(0, len(b.Log)-500):]
			t.Errorf("boot %d: %+v", i+1, b)
		}
	}
	for i, b := range boots {
		panicked := strings.Contains(b.Crash, "] Kernel panic - not syncing: Attempted to kill init!")
		if panicked != (i == 1) || b.Crash != "" != panicked {
			t.Errorf("boot %d: its kernel left %q", 6-i, b.Crash)
		}
	}
	if good := boots[5]; len(good.Warnings) != 1 || !strings.HasPrefix(good.Warnings[0], "unit nosuch: ") {
		t.Errorf("what should have been well: %q", good.Warnings)
	}
	b, err := env.Parse([]byte(read(t, filepath.Join(s.out, "gitboot", deployment.BlockFile))))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := b.Get(deployment.BlockGood); got != watchedEntry || strings.Join(b.Names(), " ") != "gitboot_once gitboot_trying gitboot_left gitboot_good" {
		t.Errorf("the block says that %q is good, of %q", got, b.Names())
	}
}

// A watchedMachine is a disk with a deployment on trial.
type watchedMachine struct {
	testStage
	layer deployment.Object // of the image
	out   string            // a copy of the stage
}

// watchedStage is a stage with one deployment of the smallest system.
func watchedStage(t *testing.T) watchedMachine {
	t.Helper()
	dir := t.TempDir()
	kernel := debianPackage(t, "linux-image-cloud-amd64")
	busybox := debianPackage(t, "busybox-static")
	layer, image := filepath.Join(dir, "kernel.sqfs"), filepath.Join(dir, "image.sqfs")
	squashDir(t, layer, kernel)
	entries := []entry{
		{name: "bin/busybox", mode: 0o755, data: read(t, filepath.Join(busybox, "bin/busybox"))},
		{name: "sbin/init", mode: 0o755, data: lifeScript},
		{name: "bin/well", mode: 0o755, data: "#!/bin/busybox sh\n[ -e /well ] || { echo not yet; exit 1; }\n"},
	}
	for _, module := range []string{"watchdog", "softdog"} {
		names, err := filepath.Glob(filepath.Join(kernel, "lib/modules/*/kernel/drivers/watchdog", module+".ko"))
		if err != nil || len(names) != 1 {
			t.Fatalf("%s is in %q, %v", module, names, err)
		}
		entries = append(entries, entry{name: "lib/modules/" + module + ".ko", data: read(t, names[0])})
	}
	squash(t, image, entries...)
	s := watchedMachine{testStage: testStage{kernel: filepath.Join(dir, "vmlinuz"), initramfs: filepath.Join(dir, "initramfs"), disk: filepath.Join(dir, "disk.img")}}
	s.build(t, []string{layer, image})
	s.publishWatched(t, dir, image)
	return s
}

func (s *watchedMachine) publishWatched(t *testing.T, dir, image string) {
	t.Helper()
	top := filepath.Join(dir, "disk")
	stage := filepath.Join(top, "var/gitboot")
	object := func(file string) deployment.Object {
		data := read(t, file)
		o := deployment.Object{SHA256: deployment.ID([]byte(data)), Size: int64(len(data))}
		writeFile(t, filepath.Join(stage, o.Path()), []byte(data))
		return o
	}
	s.layer = object(image)
	m := &deployment.Manifest{Version: deployment.Version, Image: "test", KernelVersion: "test",
		Kernel: object(s.kernel), Initramfs: object(s.initramfs), Layers: []deployment.Object{s.layer},
		Health: &deployment.Health{After: deployment.AfterDefault, Settle: 1, Deadline: 8, Confirm: deployment.ConfirmOutside, ConfirmWithin: 4,
			Required: &deployment.Checks{Commands: [][]string{{"/bin/well"}}}, Wanted: &deployment.Checks{Units: []string{"nosuch"}}}}
	data, err := m.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	s.id = deployment.ID(data)
	writeFile(t, filepath.Join(stage, "deployments", s.id+".json"), data)
	var b env.Block
	for _, v := range [][2]string{{"gitboot_once", ""}, {deployment.BlockTrying, watchedEntry}, {"gitboot_left", "2"}} {
		if err := b.Set(v[0], v[1]); err != nil {
			t.Fatal(err)
		}
	}
	block, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(stage, deployment.BlockFile), block)
	if err := os.Chmod(filepath.Join(stage, "objects"), 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, exec.Command("mke2fs", "-q", "-t", "ext4", "-U", stageUUID, "-d", top, s.disk, "128M"))
}

// What fails in process 1 is noted, too: a deployment that is not there, an image
// without an init, a layer that was taken away.
func TestFailuresAreNoted(t *testing.T) {
	need.Long(t)
	need.Programs(t, "qemu-system-x86_64", "mke2fs", "debugfs", "tar2sqfs", "tar", "apt-get", "apt-cache", "dpkg-deb")
	s := watchedStage(t)
	s.live(t, "-no-reboot", "gitboot.deployment="+strings.Repeat("0", 64))
	s.live(t, "-no-reboot", "init=/no/such")
	run(t, exec.Command("debugfs", "-w", "-R", "rm /var/gitboot/"+s.layer.Path(), s.disk))
	fell := s.live(t, "-no-reboot", "gitboot.trying=0", "gitboot.fallback=gitboot-test-0") // a good one
	want(t, fell, "rebooting in 5s, once into the entry gitboot-test-0")
	not(t, fell, "emergency shell")
	boots := s.records(t)
	for i, want := range []string{"reading deployment 0000", "finding the image's init: there is none of /no/such", "mounting layer 1 of 1: "} {
		if len(boots) != 3 {
			t.Fatalf("there are %d records: %+v", len(boots), boots)
		}
		b := boots[2-i]
		if b.Verdict != deployment.BootBad || b.Trying != (i < 2) || !strings.Contains(b.Reason, want) || !strings.Contains(b.Log, "gitboot-init: cannot boot deployment") {
			b.Log = b.Log[max(0, len(b.Log)-500):]
			t.Errorf("boot %d is %+v, want %q", i+1, b, want)
		}
	}
	if b := boots[0]; len(b.Unmarked()) != 1 || b.Damaged[0] != s.layer.SHA256 {
		t.Errorf("found damaged is %q", b.Damaged)
	}
	block, err := env.Parse([]byte(read(t, filepath.Join(s.out, "gitboot", deployment.BlockFile))))
	if err != nil {
		t.Fatal(err)
	}
	if once, _ := block.Get(deployment.BlockOnce); once != "gitboot-test-0" {
		t.Errorf("the boot loader is asked for %q", once)
	}
}

// records are those on the machine's disk.
func (s *watchedMachine) records(t *testing.T) []deployment.Boot {
	t.Helper()
	s.out = t.TempDir()
	run(t, exec.Command("debugfs", "-R", "rdump /var/gitboot "+s.out, s.disk))
	boots, err := deployment.ReadBoots(filepath.Join(s.out, "gitboot"))
	if err != nil {
		t.Fatal(err)
	}
	return boots
}

// live runs the machine until it is switched off, or, with -no-reboot, restarts,
// and returns what its console showed. Arguments with a dash are QEMU's.
func (s *watchedMachine) live(t *testing.T, more ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	const kept = "memmap=0x100000$0x10000000 ramoops.mem_address=0x10000000 ramoops.mem_size=0x100000 ramoops.record_size=0x8000" // across restarts
	cmdline := fmt.Sprintf(kept+" console=ttyS0 panic=1 loglevel=6 gitboot.stage=UUID=%s:/var/gitboot gitboot.deployment=%s gitboot.machine=m gitboot.entry=%s gitboot.trying=1",
		stageUUID, s.id, watchedEntry)
	args := []string{"-accel", "tcg,thread=multi", "-cpu", "max", "-m", "512", "-smp", "2",
		"-nodefaults", "-display", "none", "-serial", "stdio", "-kernel", s.kernel, "-initrd", s.initramfs,
		"-drive", "file=" + s.disk + ",if=virtio,format=raw"}
	for _, arg := range more {
		if strings.HasPrefix(arg, "-") {
			args = append(args, arg)
		} else {
			cmdline += " " + arg
		}
	}
	out, err := exec.CommandContext(ctx, "qemu-system-x86_64", append(args, "-append", cmdline)...).CombinedOutput()
	text := strings.ReplaceAll(string(out), "\r\n", "\n")
	if err != nil {
		t.Fatalf("running QEMU: %v: %s", err, text[max(0, len(text)-8000):])
	}
	return text
}
