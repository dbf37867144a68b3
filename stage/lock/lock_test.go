package lock

import (
	"testing"

	"golang.org/x/sys/unix"
)

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
