package dm

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The kernel itself is asked where machines boot: this holds the form of what is
// said to it.
func TestTable(t *testing.T) {
	root := strings.Repeat("a", 64)
	v := Verity{Name: "x", Data: "/dev/loop0", Hash: "/dev/loop1", Size: 129 * 4096, Block: 4096, Start: 1, Root: root}
	want := "1 /dev/loop0 /dev/loop1 4096 4096 129 1 sha256 " + root + " -"
	if got := v.table(); got != want {
		t.Errorf("%q", got)
	}
	v.Report = true
	if got := v.table(); got != want+" 1 ignore_corruption" {
		t.Errorf("%q", got)
	}
	line := target(v)
	if len(line)%8 != 0 || line[len(line)-1] != 0 || binary.NativeEndian.Uint64(line[8:]) != 129*8 || string(line[24:30]) != "verity" {
		t.Errorf("%q", line)
	}
	if got := string(line[unix.SizeofDmTargetSpec : unix.SizeofDmTargetSpec+len(want)]); got != want {
		t.Errorf("%q", got)
	}
}

func TestLongName(t *testing.T) {
	if _, err := new(Control).ask(unix.DM_DEV_CREATE, strings.Repeat("x", 128), 0, nil); err != unix.ENAMETOOLONG {
		t.Error(err)
	}
}
