package cut

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// A machine is one that really boots: its whole disk is recorded, with /boot as a file
// system of its own where the kernels' copies lie, while it boots, counts that on the
// EFI system partition and is found good, and a run publishes the next deployment.
type machine struct {
	gitboot string
	repo    *lab.Repo
	disk    *lab.Disk
	accel   lab.Accel
	// image is the disk before it was recorded, and versions are what was published on
	// /boot.
	image    string
	epochs   []epoch
	versions []version
}

// machineStart says who the machine is, and switches it off once what booted is known
// to be good, which takes that its init is done.
const machineStart = `#!/bin/sh
exec >/dev/console 2>&1
read -r options </proc/cmdline
echo "lab: up as $(cat /etc/hostname)"
(
	read -r boot </proc/sys/kernel/random/boot_id
	case $options in
	*gitboot.trying=1*) until busybox grep -qs '"verdict": "good"' /run/initramfs/gitboot/boots/$boot.json; do busybox sleep 0.3; done ;;
	esac
	poweroff
) &
`

const machineFleet = `[image.small]
archive     = "ARCHIVE"
kernel_args = ["console=ttyS0", "loglevel=5", "no_timer_check", "panic=1"]

[machine.small]
images = ["small"]
hooks  = ["hostname"]
boot   = { mode = "managed", tries = 3 }

[machine.small.health]
settle   = "1s"
deadline = "10m"

[hook.hostname.hostname]
name = "HOST"
`

// Whatever a cut has left, GRUB finds on /boot a menu that was published, and all that
// it names, and the machine comes up by itself, as what it was or what it was to
// become, and is found good.
func TestCutMachine(t *testing.T) { cutMachine(t, 100, 2) }

// cutMachine looks at so many states of /boot, and boots so many of the whole disk.
func cutMachine(t *testing.T, budget, boots int) {
	lab.RequireMachines(t)
	need.Programs(t, "qemu-storage-daemon")
	dir := inMemory(t)
	m := recordMachine(t, dir)
	esp := m.part(t, lab.ESP, filepath.Join(dir, "esp"))
	t.Run("boot", func(t *testing.T) {
		r := m.part(t, lab.BootPart, filepath.Join(dir, "boot"))
		r.filesystem, r.whole.super = filesystems[0], filesystems[0].super
		c := newChecker(t, r, 1)
		c.grub.beside = esp.image
		c.all(t, dir, budget)
	})
	t.Run("esp", func(t *testing.T) { counts(t, esp, dir) })
	t.Run("boots", func(t *testing.T) { m.cut(t, dir, boots) })
}

// cut boots so many states, of moments far from each other.
func (m *machine) cut(t *testing.T, dir string, count int) {
	d, err := newDisk(dir, m.image)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	came := map[string]int{}
	random := rand.New(rand.NewPCG(uint64(count), 12))
	part := len(m.epochs) / count
	at := random.IntN(part)
	for i, e := range m.epochs {
		if i == at {
			s := randomState(i, e, random)
			if err := d.become(s.change); err != nil {
				t.Fatal(err)
			}
			as, err := m.boot(t.Context(), d.file.Name(), true)
			if err != nil {
				t.Errorf("state %s: %v", s.name, err)
			}
			came[as]++
			at += part
		}
		d.advance(e.writes)
	}
	t.Logf("%d flushes; %d states booted, %d failed; they came up as %v", len(m.epochs), count, came[""], came)
}

// randomState is one of the first of an epoch's.
func randomState(n int, e epoch, random *rand.Rand) (last state) {
	left := 1 + random.IntN(2*len(kinds))
	states(n, 0, e, whole{super: filesystems[0].super}, func(s state) bool {
		last = s
		left--
		return left > 0
	})
	return last
}

// recordMachine has the machine follow its first commit, and records how it comes to
// follow its second one.
func recordMachine(t *testing.T, dir string) *machine {
	t.Helper()
	m := &machine{image: filepath.Join(dir, "before")}
	var err error
	if m.gitboot, err = lab.Build(t.Context(), filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	if m.repo, err = lab.NewRepo(t.Context(), filepath.Join(dir, "repo")); err != nil {
		t.Fatal(err)
	}
	if m.accel, err = lab.Accelerator(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := lab.Small(t.Context(), filepath.Join(dir, "small.tar"), machineStart); err != nil {
		t.Fatal(err)
	}
	if m.disk, err = lab.NewDisk(t.Context(), filepath.Join(dir, "machine"), lab.DiskOptions{SizeMB: 480, BootApart: true}); err != nil {
		t.Fatal(err)
	}
	m.commit(t, dir, "one")
	m.reconcile(t, "one", "")
	m.countOnESP(t)
	if _, err := lab.Run(t.Context(), "cp", "--sparse=always", m.disk.Path, m.image); err != nil {
		t.Fatal(err)
	}
	recorder, err := lab.RecordFile(t.Context(), dir, m.disk.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := recorder.Stop(); err != nil {
			t.Error(err)
		}
	}()
	m.disk.Path = recorder.File
	if as, err := m.boot(t.Context(), m.disk.Path, false); err != nil || as != "one" {
		t.Fatal(as, err)
	}
	m.reconcile(t, "one found good", recorder.Log)
	m.commit(t, dir, "two")
	m.reconcile(t, "two", recorder.Log)
	if m.epochs, err = readLog(recorder.Log); err != nil {
		t.Fatal(err)
	}
	return m
}

// commit commits a host name.
func (m *machine) commit(t *testing.T, dir, host string) {
	t.Helper()
	config := strings.NewReplacer("ARCHIVE", filepath.Join(dir, "small.tar"), "HOST", host).Replace(machineFleet)
	if err := m.repo.Write("gitboot.toml", config); err != nil {
		t.Fatal(err)
	}
	if _, err := m.repo.Commit(t.Context(), host); err != nil {
		t.Fatal(err)
	}
}

// reconcile reconciles with the disk mounted, and notes what is published then.
func (m *machine) reconcile(t *testing.T, step, log string) {
	t.Helper()
	mnt, err := m.disk.Mount(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), m.gitboot, "reconcile", "--once", "--repo", m.repo.Dir, "--machine", "small",
		"--stage", filepath.Join(mnt, "gitboot"), "--boot", filepath.Join(mnt, "boot/grub")).CombinedOutput()
	v, err2 := apart.published(filepath.Join(mnt, "boot"), step, log)
	m.versions = append(m.versions, v)
	if err := errors.Join(err, err2, m.disk.Unmount()); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// bootLimit is many times what a boot takes under software emulation, on a computer
// that has much else to do.
const bootLimit = 5 * time.Minute

var (
	cameUp   = regexp.MustCompile(`lab: up as (\S+)`)
	poweroff = regexp.MustCompile(`Power down`)
)

// boot boots a disk until the machine is off, and returns as what it came up.
func (m *machine) boot(ctx context.Context, disk string, lost bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	o := lab.VMOptions{Disk: disk, Accel: m.accel, Snapshot: lost, Flushes: true}
	if os.Getenv("GITBOOT_CONSOLE") != "" {
		o.Console = os.Stderr
	}
	vm, err := lab.StartVM(ctx, o)
	if err != nil {
		return "", err
	}
	defer vm.Stop()
	up, err := vm.WaitFor(ctx, cameUp)
	if err != nil {
		return "", err
	}
	if _, err := vm.WaitFor(ctx, poweroff); err != nil {
		return "", fmt.Errorf("it came up as %s: %w", up.Groups[1], err)
	}
	return up.Groups[1], vm.Wait(ctx)
}
