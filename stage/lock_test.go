package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLock(t *testing.T) {
	s := newStage(t)
	ctx := context.Background()
	held, err := s.Lock(ctx, false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Lock(ctx, false)
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("a second lock: %v", err)
	}
	if pid := fmt.Sprintf("(process %d)", os.Getpid()); !strings.Contains(err.Error(), pid) {
		t.Errorf("%q does not name %s", err, pid)
	}
	tired, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Lock(tired, true); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was given up: %v", err)
	}
	got := make(chan error)
	go func() {
		l, err := s.Lock(ctx, true)
		if err == nil {
			err = l.Release()
		}
		got <- err
	}()
	for range 2 {
		if err := held.Release(); err != nil {
			t.Error(err)
		}
	}
	if err := <-got; err != nil {
		t.Errorf("a waiting lock: %v", err)
	}
}

func TestLockHolder(t *testing.T) {
	text := "1: POSIX  ADVISORY  WRITE 11 08:02:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 22 08:02:77 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 33 08:02:77 0 EOF\n"
	dev := unix.Mkdev(8, 2)
	if pid := lockHolder([]byte(text), dev, 77); pid != 22 {
		t.Errorf("holder %d", pid)
	}
	if pid := lockHolder([]byte(text), dev, 78); pid != 0 {
		t.Errorf("holder of another file %d", pid)
	}
}

func TestUnescape(t *testing.T) {
	if got := unescape(`/a\040b\134\0`); got != `/a b\\0` {
		t.Errorf("%q", got)
	}
}

func TestLockMakesAReadOnlyStageWritable(t *testing.T) {
	point := loopMount(t, "ext4", 32<<20, "nosuid,noexec,noatime")
	s := create(t, filepath.Join(point, "stage"))
	if err := unix.Mount("", point, "", unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NOEXEC|unix.MS_NOATIME, ""); err != nil {
		t.Fatal(err)
	}
	flags := func() int64 {
		var st unix.Statfs_t
		if err := unix.Statfs(point, &st); err != nil {
			t.Fatal(err)
		}
		return st.Flags
	}
	before := flags()
	l, err := s.Lock(context.Background(), false)
	if err != nil {
		t.Fatal(err)
	}
	addFile(t, s, "written")
	if got := flags(); got != before&^unix.ST_RDONLY {
		t.Errorf("flags %#x while locked, %#x before", got, before)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if got := flags(); got != before {
		t.Errorf("flags %#x after, %#x before", got, before)
	}
}
