package child

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestRun(t *testing.T) {
	run := func(limit time.Duration, script string) (string, error) {
		out, err := Program{Argv: []string{"/bin/sh", "-c", script}, Env: []string{"A=b"}, Limit: limit, Output: 20}.Run(t.Context())
		return string(out), err
	}
	if out, err := run(time.Minute, `echo "$A $HOME"; pwd; cat`); err != nil || out != "b /root\n/" {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := run(time.Minute, `echo oh dear >&2; exit 3`); err == nil || out != "oh dear" {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := run(time.Minute, `while :; do echo 0123456789; done | head -c 100000`); err != nil || len(out) != 20 {
		t.Errorf("%q, %v", out, err)
	}
}

// What hangs ends.
func TestRunEnds(t *testing.T) {
	p := Program{Argv: []string{"/bin/sh", "-c", "sleep 600"}, Limit: 500 * time.Millisecond}
	if _, err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "longer than 500ms") {
		t.Errorf("%v", err)
	}
}

// What is told to end does, and all that it started.
func TestRunIsTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			if pid, err := os.ReadFile(file); err == nil && strings.HasSuffix(string(pid), "\n") {
				return
			}
		}
	}()
	p := Program{Argv: []string{"/bin/sh", "-c", "sleep 600 & echo $! >" + file + "; wait"}, Limit: time.Minute}
	if _, err := p.Run(ctx); err == nil || strings.Contains(err.Error(), "longer") {
		t.Errorf("%v", err)
	}
	pid, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(pid)))
	if err != nil {
		t.Fatal(err)
	}
	ends(t, n)
}

// ends waits for a process's end: its pipe is closed a little before that, so that
// whoever waits for the pipe may see it still.
func ends(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	const limit = 10_000 // ms
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, limit)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n != 1 || err != nil {
			t.Errorf("what it started runs on: %d, %v", n, err)
		}
		return
	}
}

func TestBounded(t *testing.T) {
	l := &bounded{left: 5}
	for _, s := range []string{"abc", "def", "ghi"} {
		if n, err := l.Write([]byte(s)); n != 3 || err != nil {
			t.Errorf("write of %q: %d, %v", s, n, err)
		}
	}
	if l.buf.String() != "abcde" {
		t.Errorf("kept %q", l.buf.String())
	}
}
