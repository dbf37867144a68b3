package kmsg

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/need"
)

func TestFormat(t *testing.T) {
	for record, want := range map[string]string{
		"6,339,5140900,-;NET: Registered protocol family 10\n": "[    5.140900] NET: Registered protocol family 10\n",
		"30,340,5690716,-;udevd[80]: a;b\n SUBSYSTEM=acpi\n":   "[    5.690716] udevd[80]: a;b\n",
		"6,1,1234567890123,c;x":                                "[1234567.890123] x\n",
	} {
		if got, ok := format([]byte(record)); !ok || got != want {
			t.Errorf("%q becomes %q", record, got)
		}
	}
	for _, record := range []string{"", "no record", "6,1;x", "6,1,y,-;x"} {
		if got, ok := format([]byte(record)); ok {
			t.Errorf("%q becomes %q", record, got)
		}
	}
}

// What process 1 said stays, however much the kernel says afterwards.
func TestEnd(t *testing.T) {
	lines := []string{"[    0.000001] Linux\n", "[    0.000002] gitboot-init: found\n"}
	for range 1000 {
		lines = append(lines, "[    9.000000] noise\n")
	}
	lines = append(lines, "[   10.000000] last\n")
	got := end(lines, 1024, "gitboot-")
	if !strings.HasPrefix(got, "[    0.000002] gitboot-init: found\n[    9.") || !strings.HasSuffix(got, "noise\n[   10.000000] last\n") || len(got) > 1024 || len(got) < 800 {
		t.Errorf("%d bytes: %s", len(got), got)
	}
	if got := end(lines[:2], 1024, "gitboot-"); got != lines[0]+lines[1] {
		t.Errorf("all of a short log is %q", got)
	}
	if got := end([]string{strings.Repeat("x", 2000)}, 1024, "gitboot-"); got != "" {
		t.Errorf("a line that is too long leaves %q", got)
	}
}

func TestRead(t *testing.T) {
	answers := []error{nil, unix.EPIPE, nil, unix.EAGAIN}
	lines, err := read(func(buf []byte) (int, error) {
		e := answers[0]
		answers = answers[1:]
		if e != nil {
			return -1, e
		}
		return copy(buf, "6,1,1,-;x\n"), nil
	})
	if err != nil || len(lines) != 2 {
		t.Errorf("%q, %v", lines, err)
	}
	if _, err := read(func([]byte) (int, error) { return -1, unix.EIO }); !errors.Is(err, unix.EIO) {
		t.Error(err)
	}
}

// The kernel's own log is read to its end.
func TestTail(t *testing.T) {
	need.Root(t)
	text, err := Tail(File, 4096, "gitboot-")
	if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
		return // a container that has none
	}
	if err != nil || len(text) > 4096 || text != "" && !strings.HasPrefix(text, "[") {
		t.Errorf("%q, %v", text, err)
	}
}
