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
	line := encode([]target{{length: 129 * 8, kind: "verity", params: v.table()}})
	if len(line)%8 != 0 || line[len(line)-1] != 0 || binary.NativeEndian.Uint64(line[8:]) != 129*8 || string(line[24:30]) != "verity" {
		t.Errorf("%q", line)
	}
	if got := string(line[unix.SizeofDmTargetSpec : unix.SizeofDmTargetSpec+len(want)]); got != want {
		t.Errorf("%q", got)
	}
}

func TestLongName(t *testing.T) {
	if _, err := new(Control).ask(unix.DM_DEV_CREATE, strings.Repeat("x", 128), 0, request{}); err != unix.ENAMETOOLONG {
		t.Error(err)
	}
}

func TestCryptTable(t *testing.T) {
	c := Crypt{Device: "/dev/vda3", Offset: 16 << 20, Tweak: 8, Cipher: "aes-xts-plain64", Sector: 512, Size: 8 << 20}
	if got, want := c.table(":64:logon:x"), "aes-xts-plain64 :64:logon:x 8 /dev/vda3 32768"; got != want {
		t.Errorf("%q", got)
	}
	c.Sector, c.Options = 4096, []string{"allow_discards"}
	if got, want := c.table("00"), "aes-xts-plain64 00 8 /dev/vda3 32768 2 allow_discards sector_size:4096"; got != want {
		t.Errorf("%q", got)
	}
	two := encode([]target{{length: 8, kind: "linear", params: "1234567"}, {start: 8, length: 8, kind: "linear", params: "12345678"}})
	if next := binary.NativeEndian.Uint32(two[20:]); next != 48 || len(two) != 48+56 || binary.NativeEndian.Uint64(two[next:]) != 8 {
		t.Errorf("%q", two)
	}
}

func TestSegment(t *testing.T) {
	one := Segment{Length: 16, Stripes: []Stripe{{8, 1, 2048}}}
	two := Segment{Start: 16, Length: 32, Chunk: 8, Stripes: []Stripe{{8, 1, 2064}, {8, 2, 0}}}
	for _, c := range []struct {
		segment Segment
		want    target
	}{{one, target{0, 16, "linear", "8:1 2048"}}, {two, target{16, 32, "striped", "2 8 8:1 2064 8:2 0"}}} {
		if got := c.segment.target(); got != c.want {
			t.Errorf("%+v", got)
		}
	}
}
