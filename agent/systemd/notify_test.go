package systemd

import (
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// told is systemd's end of the socket.
func told(t *testing.T) func() string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		buf := make([]byte, 4096)
		// Datagrams of a socket of this machine are there when sending them has returned.
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			return ""
		}
		return string(buf[:n])
	}
}

func TestWhatSystemdIsTold(t *testing.T) {
	next := told(t)
	n := NewNotifier(slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		do   func()
		want string
	}{
		{n.Ready, `READY=1`},
		{n.Reloading, `RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+`},
		{n.Stopping, `STOPPING=1`},
		{func() { n.Status("building desktop, step 3 of 7") }, `STATUS=building desktop, step 3 of 7`},
		{func() { n.Status("building desktop, step 3 of 7") }, ``},
		{func() { n.Status("idle\nREADY=0\x1b[2J") }, `STATUS=idle READY=0`},
		{n.Alive, ``}, // nobody watches
	} {
		c.do()
		if got := next(); !regexp.MustCompile(`^(?:` + c.want + `)$`).MatchString(got) {
			t.Errorf("systemd was told %q, not %s", got, c.want)
		}
	}
}

func TestWatchdogIsFedByProgress(t *testing.T) {
	next := told(t)
	t.Setenv("WATCHDOG_USEC", "40000000")
	n := NewNotifier(slog.New(slog.DiscardHandler))
	if n.Watchdog() != 20*time.Second {
		t.Errorf("Alive is to be called every %s, not 20s", n.Watchdog())
	}
	now := time.Now()
	n.now = func() time.Time { return now }
	fed := 0
	for range 40 { // a second between each
		n.Alive()
		if next() == "WATCHDOG=1" {
			fed++
		}
		now = now.Add(time.Second)
	}
	if fed != 4 {
		t.Errorf("in 40 s of progress systemd heard of %d signs of life, not 4", fed)
	}
}

func TestAnotherProcesssWatchdogIsNotOurs(t *testing.T) {
	next := told(t)
	t.Setenv("WATCHDOG_USEC", "40000000")
	t.Setenv("WATCHDOG_PID", "1")
	n := NewNotifier(slog.New(slog.DiscardHandler))
	n.Alive()
	if n.Watchdog() != 0 || next() != "" {
		t.Error("another process's watchdog is fed")
	}
}

func TestWithoutSystemdNothingIsTold(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	for _, n := range []*Notifier{nil, NewNotifier(slog.New(slog.DiscardHandler))} {
		n.Ready()
		n.Status("idle")
		n.Alive()
		n.Reloading()
		n.Stopping()
		if n.Watchdog() != 0 {
			t.Error("somebody watches")
		}
	}
}
