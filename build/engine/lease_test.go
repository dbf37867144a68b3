package engine

import (
	"bufio"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/need"
)

// canceled is for who would not wait.
func canceled() (context.Context, error) {
	why := errors.New("no time to wait")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	return ctx, why
}

func TestLease(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "engine") // not made yet
	now, why := canceled()
	read := func() func() error {
		t.Helper()
		release, err := Reading(now, dir)
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
	one, two := read(), read()
	if _, err := Removing(now, dir); !errors.Is(err, why) {
		t.Errorf("removed under two readers: %v", err)
	}
	if err := one(); err != nil {
		t.Error(err)
	}
	if _, err := Removing(now, dir); !errors.Is(err, why) {
		t.Errorf("removed under the second reader: %v", err)
	}
	var done func() error
	waited := make(chan error)
	go func() {
		var err error
		done, err = Removing(t.Context(), dir)
		waited <- err
	}()
	if err := errors.Join(two(), <-waited); err != nil {
		t.Fatal(err)
	}
	if _, err := Reading(now, dir); !errors.Is(err, why) {
		t.Errorf("read while something is removed: %v", err)
	}
	if err := done(); err != nil {
		t.Error(err)
	}
	if err := read()(); err != nil {
		t.Error(err)
	}
}

// A reader that is killed reads no more.
func TestLeaseEndsWithItsProcess(t *testing.T) {
	dir := t.TempDir()
	now, why := canceled()
	release, err := Reading(now, dir) // makes the lock
	if err != nil {
		t.Fatal(err)
	}
	reader := exec.Command("flock", "--no-fork", "--shared", filepath.Join(dir, leaseFile), "sh", "-c", "echo reading; exec cat")
	in, err := reader.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := reader.StdoutPipe()
	if err := errors.Join(err, reader.Start()); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "reading\n" {
		t.Fatal(line, err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
	if _, err := Removing(now, dir); !errors.Is(err, why) {
		t.Errorf("removed under another process: %v", err)
	}
	if err := reader.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	reader.Wait()
	if release, err = Removing(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}

// A stage that is mounted read-only can be read, with a lock and without one.
func TestLeaseWritesNothing(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	mount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("tmpfs", dir, "tmpfs", flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	read := func() {
		t.Helper()
		release, err := Reading(t.Context(), dir)
		if err == nil {
			err = release()
		}
		if err != nil {
			t.Error(err)
		}
	}
	mount(unix.MS_RDONLY)
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	read()
	if _, err := Removing(t.Context(), dir); !errors.Is(err, unix.EROFS) {
		t.Errorf("removed from what cannot be written: %v", err)
	}
	mount(unix.MS_REMOUNT)
	read()
	mount(unix.MS_REMOUNT | unix.MS_RDONLY)
	read()
}
