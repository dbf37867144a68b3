package answer

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/need"
)

const limit = 2 * time.Second

// TestPing is in a network of its own, whose only host answers until it is told
// not to.
func TestPing(t *testing.T) {
	need.Root(t)
	runtime.LockOSThread() // for ever: the thread has another network
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	if err := Ping(netip.MustParseAddr("127.0.0.1"), limit); err == nil {
		t.Error("an interface that is down answers")
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, host := range []string{"127.0.0.1", "127.1.2.3", "::1"} {
		if err := Ping(netip.MustParseAddr(host), limit); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/icmp_echo_ignore_all", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := Ping(netip.MustParseAddr("127.0.0.1"), 300*time.Millisecond); err == nil || !strings.Contains(err.Error(), "no answer within 300ms") {
		t.Errorf("a host that is silent: %v", err)
	}
	if took := time.Since(began); took > limit {
		t.Errorf("it took %v to see that nobody answers", took)
	}
	if err := Ping(netip.MustParseAddr("fe80::1%nosuch0"), limit); err == nil || !strings.Contains(err.Error(), "nosuch0") {
		t.Errorf("an interface that is not there: %v", err)
	}
}

// Others' answers, and our own request, are none.
func TestAnswers(t *testing.T) {
	request := echo(echoRequest6)
	reply := append([]byte{echoReply6}, request[1:]...)
	other := append([]byte{}, reply...)
	other[5]++
	for _, c := range []struct {
		m    []byte
		want bool
	}{{reply, true}, {append(reply, 1), true}, {request, false}, {other, false}, {reply[:9], false}, {nil, false}} {
		if got := answers(c.m, request, unix.AF_INET6); got != c.want {
			t.Errorf("%v: %v", c.m, got)
		}
	}
	if answers([]byte{0x4f, 0}, request, unix.AF_INET) || answers(nil, request, unix.AF_INET) {
		t.Error("a header without its end is an answer")
	}
}

func TestConnect(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		to := netip.MustParseAddrPort(l.Addr().String())
		if err := Connect(to, limit); err != nil {
			t.Error(err)
		}
		l.Close()
		if err := Connect(to, limit); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("nobody listens: %v", err)
		}
	}
}

func TestGet(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "name.example:81" || r.URL.RawQuery != "a=b" {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
	}))
	defer s.Close()
	to := netip.MustParseAddrPort(s.Listener.Addr().String())
	if err := Get(to, "name.example:81", "/x?a=b", limit); err != nil {
		t.Error(err)
	}
	if err := Get(to, "other", "/", limit); err == nil || !strings.Contains(err.Error(), "status 418") {
		t.Error(err)
	}
}

// Who says nothing, ends at once, or talks for ever holds nobody up.
func TestGetEnds(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"silent":  func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"gone":    func(c net.Conn) { c.Close() },
		"no HTTP": func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n") },
		"endless": func(c net.Conn) {
			for err := error(nil); err == nil; {
				_, err = io.WriteString(c, strings.Repeat("x", 4096))
			}
		},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if c, err := l.Accept(); err == nil {
				serve(c)
			}
		}()
		began := time.Now()
		if err := Get(netip.MustParseAddrPort(l.Addr().String()), "a", "/", 300*time.Millisecond); err == nil {
			t.Errorf("%s: is an answer", name)
		}
		if took := time.Since(began); took > limit {
			t.Errorf("%s: it took %v", name, took)
		}
		l.Close()
	}
}
