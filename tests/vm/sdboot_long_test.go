//go:build long

package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// A machine with systemd-boot, whose partition the firmware reads: what is new is
// counted in its name by the boot loader, and process 1's watcher takes the count away,
// on the vfat, once it is good. What comes after it ends the kernel: when it is used up,
// the good one is back.
func TestLongSystemdBoot(t *testing.T) {
	s := newEmptySite(t)
	archive, bad := filepath.Join(s.dir, "small.tar"), filepath.Join(s.dir, "bad.tar")
	s.smallTar(t, archive, smallStart+goodEnd)
	s.smallTar(t, bad, smallStart+panicEnd)
	disk := s.disk(t, lab.DiskOptions{})
	if err := disk.InstallSystemdBoot(s.ctx); err != nil {
		t.Fatal(err)
	}
	const once, again, started = `lab: .*gitboot.block=UUID=5D1B-0E5A:/loader/entries gitboot.trying=1`, `lab: .*gitboot.machine=small `, `lab: /bin/busybox started small on overlay`

	s.commitSmall(t, smallFleet, archive)
	s.runESP(t, disk, "reconcile", "--once")
	s.counted(t, disk, `^gitboot-small-[0-9a-f]{16}\+1\.conf$`)
	s.expect(t, disk, lab.UEFI, once, started, `Power down`)
	s.counted(t, disk, `^gitboot-small-[0-9a-f]{16}\.conf$`)

	s.commitSmall(t, smallFleet, bad)
	s.runESP(t, disk, "reconcile", "--once")
	s.expect(t, disk, lab.UEFI, once, started, `Kernel panic`, again, started, `Power down`)
	s.counted(t, disk, `^gitboot-small-[0-9a-f]{16}\+0-1\.conf$`, `^gitboot-small-[0-9a-f]{16}\.conf$`)
	s.runESP(t, disk, "reconcile", "--once")
	if out, _ := s.runsESP(t, disk, "status"); !regexp.MustCompile(`small +2 .*bad`).MatchString(out) {
		t.Errorf("the status does not say what is bad:\n%s", out)
	}
}

// runESP runs gitboot for the small machine, with its disk mounted and a folder that
// stands for its EFI system partition.
func (s *site) runESP(t *testing.T, d *lab.Disk, args ...string) string {
	t.Helper()
	out, err := s.runsESP(t, d, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// runsESP is runESP for what may fail.
func (s *site) runsESP(t *testing.T, d *lab.Disk, args ...string) (said string, failed error) {
	t.Helper()
	s.look(t, d, func(mnt string) error {
		return d.ESP(s.ctx, func(esp string) error {
			for i, arg := range args {
				args[i] = strings.Replace(arg, "ESP/", esp+"/", 1)
			}
			args = append(args, "--repo", s.repo.Dir, "--machine", "small", "--stage", filepath.Join(mnt, "gitboot"), "--boot", esp)
			if config := filepath.Join(s.dir, "agent.toml"); exists(config) {
				args = append(args, "--config", config)
			}
			began := time.Now()
			out, err := exec.CommandContext(s.ctx, s.gitboot, args...).CombinedOutput()
			t.Logf("gitboot %s: %.1f s\n%s", strings.Join(args, " "), time.Since(began).Seconds(), out)
			said, failed = string(out), err
			return nil
		})
	})
	return said, failed
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// counted sees that the entries have these names, in some order.
func (s *site) counted(t *testing.T, d *lab.Disk, names ...string) {
	t.Helper()
	have, err := d.Entries(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range names {
		i := slices.IndexFunc(have, regexp.MustCompile(want).MatchString)
		if i < 0 {
			t.Fatalf("the entries are %v, want %v", have, names)
		}
		have = slices.Delete(have, i, i+1)
	}
	if len(have) > 0 {
		t.Errorf("there are entries besides: %v", have)
	}
}
