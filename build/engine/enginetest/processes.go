package enginetest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Hang is a step that does not end, with a process of its own.
const Hang = "echo begun; (yes > /dev/null) & sleep 3600"

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// OnText does something as soon as a line of output is what it waits for.
func OnText(text string, do func()) io.Writer {
	return writer(func(p []byte) (int, error) {
		if bytes.HasPrefix(p, []byte(text)) || bytes.Contains(p, []byte("\n"+text)) {
			do()
		}
		return len(p), nil
	})
}

// NoneRuns looks for the hanging step. A daemon may take a moment to end it.
func NoneRuns(t *testing.T) {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		line, _ := os.ReadFile(path)
		if pid, err := strconv.Atoi(strings.Split(path, "/")[2]); err == nil && bytes.Contains(line, []byte("sleep\x003600")) && !ends(pid) {
			t.Errorf("%s still runs: %q", path, line)
		}
	}
}

// ends waits for the end of a process, five seconds at most.
func ends(pid int) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return errors.Is(err, unix.ESRCH)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 5000)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n == 1
		}
	}
}
