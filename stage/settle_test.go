package stage

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/need"
)

// loopMount makes a file system of the given size and kind, and mounts it.
func loopMount(t *testing.T, kind string, size int64, options string) string {
	t.Helper()
	need.Root(t)
	dir := t.TempDir()
	image, point := filepath.Join(dir, "image"), filepath.Join(dir, "mnt")
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	f.Close()
	run(t, need.Program(t, "mkfs."+kind), "-q", image)
	if err := os.Mkdir(point, 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, "mount", "-o", "loop,"+options, image, point)
	t.Cleanup(func() {
		if err := unix.Unmount(point, 0); err != nil {
			t.Errorf("unmount %s: %v", point, err)
		}
	})
	return point
}

// GRUB reads the file system's own places and not its journal. So does the
// test: what Settle left must be there when the journal is ignored.
func TestSettleEmptiesTheJournal(t *testing.T) {
	for _, kind := range []string{"ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) {
			point := loopMount(t, kind, 320<<20, "defaults")
			s := create(t, filepath.Join(point, "stage"))
			if err := os.WriteFile(s.path("boot", "gitboot.cfg"), []byte("menu"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := s.Settle(context.Background()); err != nil {
				t.Fatal(err)
			}
			copied := filepath.Join(t.TempDir(), "copy")
			run(t, "cp", filepath.Join(filepath.Dir(point), "image"), copied)
			option := map[string]string{"ext4": "noload", "xfs": "norecovery"}[kind] + ",ro,loop"
			if kind == "xfs" {
				option += ",nouuid"
			}
			other := t.TempDir()
			run(t, "mount", "-t", kind, "-o", option, copied, other)
			defer unix.Unmount(other, 0)
			got, err := os.ReadFile(filepath.Join(other, "stage/boot/gitboot.cfg"))
			if err != nil || string(got) != "menu" {
				t.Errorf("without the journal the file is %q, %v", got, err)
			}
		})
	}
}

func TestSettleWithoutAJournal(t *testing.T) {
	s := create(t, filepath.Join(t.TempDir(), "stage"))
	if err := s.Settle(context.Background()); err != nil {
		t.Error(err)
	}
}

// The watchdog thaws when the process that froze is gone, which the closed
// pipe stands for.
func TestWatchdogThaws(t *testing.T) {
	point := loopMount(t, "ext4", 32<<20, "defaults")
	d, err := os.Open(point)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w, err := watch(int(d.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_IOCTL, d.Fd(), ioctlFreeze, 0); errno != 0 {
		w.dismiss(true)
		t.Fatal(errno)
	}
	start := time.Now()
	if err := w.dismiss(false); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > thawAfter*time.Second/2 {
		t.Errorf("the watchdog took %v", took)
	}
	if err := os.WriteFile(filepath.Join(point, "file"), nil, 0o600); err != nil {
		t.Error(err)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_IOCTL, d.Fd(), ioctlThaw, 0); errno != unix.EINVAL {
		t.Errorf("the file system was still frozen: %v", errno)
	}
}

func TestFreezeForAMoment(t *testing.T) {
	point := loopMount(t, "ext4", 32<<20, "defaults")
	d, err := os.Open(point)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := freezeForAMoment(int(d.Fd())); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(point, "file"), nil, 0o600); err != nil {
		t.Error(err)
	}
}
