package gentle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func file(t *testing.T, size int) (*os.File, []byte) {
	t.Helper()
	data := bytes.Repeat([]byte("gitboot "), size/8)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, data
}

// All is read, in no less than the time that the pace asks for.
func TestPace(t *testing.T) {
	f, data := file(t, 1<<20)
	began := time.Now()
	got, err := io.ReadAll(Pace(4<<20).Reader(t.Context(), f))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if took := time.Since(began); took < 150*time.Millisecond { // the last chunk is not waited for
		t.Errorf("a quarter of a second's share was read in %v", took)
	}
}

func TestPaceEnds(t *testing.T) {
	f, _ := file(t, 1<<20)
	ctx, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer end()
	began := time.Now()
	if _, err := io.ReadAll(Pace(1000).Reader(ctx, f)); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// Reads give way to those of others, on the thread that makes them alone.
func TestBegin(t *testing.T) {
	class := func() uintptr {
		prio, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, 1, 0, 0)
		if errno != 0 {
			t.Fatal(errno)
		}
		return prio >> 13
	}
	got := make(chan uintptr)
	go func() { Pace(1).Begin(); got <- class() }()
	if c := <-got; c != 3 {
		t.Errorf("the class is %d", c)
	}
	go func() { Pace(0).Begin(); got <- class() }()
	if c := <-got; c == 3 {
		t.Error("who reads as any program gives way")
	}
}
