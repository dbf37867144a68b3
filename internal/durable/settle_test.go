package durable

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/need"
)

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func mounted(t *testing.T, kind string, size int64) string {
	t.Helper()
	point := filepath.Join(t.TempDir(), "mnt")
	need.Filesystem(t, point, size, "defaults", "mkfs."+kind, "-q")
	return point
}

// GRUB reads the file system's own places and not its journal. So does the
// test: what Settle left must be there when the journal is ignored.
func TestSettleEmptiesTheJournal(t *testing.T) {
	for _, kind := range []string{"ext4", "xfs"} {
		t.Run(kind, func(t *testing.T) {
			point := mounted(t, kind, 320<<20)
			if err := WriteFile(filepath.Join(point, "gitboot.cfg"), []byte("menu"), 0o600); err != nil {
				t.Fatal(err)
			}
			if left, err := Settle(point); left != nil || err != nil {
				t.Fatal(left, err)
			}
			copied := filepath.Join(t.TempDir(), "copy")
			run(t, "cp", point+".image", copied)
			option := map[string]string{"ext4": "noload", "xfs": "norecovery"}[kind] + ",ro,loop"
			if kind == "xfs" {
				option += ",nouuid"
			}
			other := t.TempDir()
			run(t, "mount", "-t", kind, "-o", option, copied, other)
			defer unix.Unmount(other, 0)
			got, err := os.ReadFile(filepath.Join(other, "gitboot.cfg"))
			if err != nil || string(got) != "menu" {
				t.Errorf("without the journal the file is %q, %v", got, err)
			}
		})
	}
}

func TestSettleWithoutAJournal(t *testing.T) {
	if _, err := Settle(t.TempDir()); err != nil {
		t.Error(err)
	}
	if _, err := Settle(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the folder: %v", err)
	}
}

// The watchdog thaws when the process that froze is gone, which the closed
// pipe stands for.
func TestWatchdogThaws(t *testing.T) {
	point := mounted(t, "ext4", 32<<20)
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
	point := mounted(t, "ext4", 32<<20)
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

// What a boot loader reads is replaced as any other file is, and nothing is left
// beside it.
func TestWriteSettled(t *testing.T) {
	for _, dir := range []string{t.TempDir()} {
		path := filepath.Join(dir, "gitboot-settled")
		for _, text := range []string{"one", "two"} {
			if err := WriteSettled(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != text {
				t.Errorf("%q, %v", got, err)
			}
			if left, err := filepath.Glob(filepath.Join(dir, TempPrefix+"*")); err != nil || len(left) > 0 {
				t.Errorf("left: %v %v", left, err)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
	if err := WriteSettled(filepath.Join(t.TempDir(), "no/file"), nil, 0o600); err == nil {
		t.Error("a file without a folder is written")
	}
}

// A roomy folder of ext4 does not grow, and has nothing in it; a cut leaves temporary
// names.
func TestRoomy(t *testing.T) {
	point := mounted(t, "ext4", 64<<20)
	size := func() int64 {
		info, err := os.Stat(point)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if err := os.Remove(filepath.Join(point, "lost+found")); err != nil {
		t.Fatal(err)
	}
	if err := Roomy(point); err != nil {
		t.Fatal(err)
	}
	made := size()
	for n := range 100 {
		if err := os.WriteFile(filepath.Join(point, fmt.Sprintf("%064x", n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Roomy(point); err != nil || size() != made {
		t.Errorf("%v; it grows from %d to %d bytes", err, made, size())
	}
	if left, err := os.ReadDir(point); err != nil || len(left) != 100 {
		t.Errorf("%d names are there, %v", len(left), err)
	}
	if err := Roomy(t.TempDir()); err != nil {
		t.Error(err)
	}
}

// A roomy folder of XFS has its names in a block from the second hash on, and keeps
// them there for as long as there are two.
func TestRoomyXFS(t *testing.T) {
	point := mounted(t, "xfs", 320<<20)
	for _, dir := range []string{"hashes", "names"} {
		if err := os.Mkdir(filepath.Join(point, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name string, n int) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(point, fmt.Sprintf(name, n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 8 { // which are in the inode
		write("names/name%06d", n)
	}
	for range 2 {
		if err := errors.Join(Roomy(filepath.Join(point, "hashes")), Roomy(filepath.Join(point, "names"))); err != nil {
			t.Fatal(err)
		}
	}
	isBlock := func(dir, when string) {
		t.Helper()
		if info, err := os.Stat(filepath.Join(point, dir)); err != nil || info.Size() != 4096 {
			t.Errorf("%s the size of %s is %d, %v", when, dir, info.Size(), err)
		}
	}
	isBlock("names", "when it is roomy")
	for n := range 6 {
		write("hashes/%064x", n)
		if n > 0 {
			isBlock("hashes", fmt.Sprintf("with %d names", n+1))
		}
	}
	for n := range 4 {
		if err := os.Remove(filepath.Join(point, fmt.Sprintf("hashes/%064x", n))); err != nil {
			t.Fatal(err)
		}
		isBlock("hashes", fmt.Sprintf("without %d names", n+1))
	}
}
