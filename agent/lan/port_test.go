package lan

import (
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/need"
)

// The port is shared with whoever shares it, in either way; who has it alone is told of.
func TestPortIsShared(t *testing.T) {
	need.Root(t)
	runtime.LockOSThread() // for good: the thread ends with the test, and its network, too
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	for _, f := range families() {
		for what, options := range map[string][]int{
			"by its address": {unix.SO_REUSEADDR}, "by its port": {unix.SO_REUSEPORT},
			"by both": {unix.SO_REUSEADDR, unix.SO_REUSEPORT}, "not": nil,
		} {
			other := responder(t, f, options)
			s, err := f.open(t.Context())
			if err == nil {
				closeAll([]*socket{s})
			}
			if options != nil && err != nil {
				t.Errorf("%s, shared %s: %v", f.network, what, err)
			}
			if options == nil && (err == nil || !strings.Contains(err.Error(), "`ss -ulpn sport = :5353` says which")) {
				t.Errorf("%s, not shared: opened with %v", f.network, err)
			}
			if err := unix.Close(other); err != nil {
				t.Error(err)
			}
		}
	}
}

// responder is another program's socket.
func responder(t *testing.T, f family, options []int) int {
	t.Helper()
	domain, at := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: port})
	if f.network == "udp6" {
		domain, at = unix.AF_INET6, &unix.SockaddrInet6{Port: port}
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Bind(fd, at); err != nil {
		t.Fatal(err)
	}
	return fd
}
