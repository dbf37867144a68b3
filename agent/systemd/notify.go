// Package systemd is what the agent tells systemd: that it is ready, what it is
// at, and that it lives (sd_notify(3)); and its logs, with fields, to the journal
// (systemd.journal-fields(7)). Where there is no systemd it tells nothing.
package systemd

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/plain"
)

// maxStatus is how long a status line gets, in columns.
const maxStatus = 200

// A Notifier tells systemd how the agent fares. Its methods may be called from
// several goroutines, and on a nil Notifier, which tells nobody.
type Notifier struct {
	log      *slog.Logger
	watchdog time.Duration
	now      func() time.Time

	mu     sync.Mutex
	status string
	lived  time.Time
}

// NewNotifier finds out from the environment whether systemd listens, and how
// long it waits for a sign of life. Programs that gitboot starts do not inherit
// that (package program).
func NewNotifier(log *slog.Logger) *Notifier {
	n := &Notifier{log: log, now: time.Now}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("systemd's watchdog is not fed", "error", err)
	}
	n.watchdog = watchdog
	return n
}

// Watchdog is how often Alive has to be called, 0 if nobody watches. Who calls
// it should be the very loop that must not get stuck, not a timer beside it.
func (n *Notifier) Watchdog() time.Duration {
	if n == nil {
		return 0
	}
	return n.watchdog / 2
}

// Ready says that the agent is up, or has taken up what it was told to reload.
func (n *Notifier) Ready() { n.tell(daemon.SdNotifyReady) }

// Stopping says that the agent is about to end.
func (n *Notifier) Stopping() { n.tell(daemon.SdNotifyStopping) }

// Reloading says that the agent takes up changed settings, until Ready. The time
// is for units of Type=notify-reload.
func (n *Notifier) Reloading() {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err == nil {
		n.tell(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, t.Nano()/1000))
	}
}

// Status says in one line what the agent is at; the same line is told once.
func (n *Notifier) Status(line string) {
	line = plain.Cut(plain.Line(line), maxStatus)
	if n.news(func() bool { changed := n.status != line; n.status = line; return changed }) {
		n.tell("STATUS=" + line)
	}
}

// Alive says that the queue gets on. It may be called as often as there is
// progress: of several calls within a quarter of the watchdog's time one is told.
func (n *Notifier) Alive() {
	if n == nil || n.watchdog == 0 {
		return
	}
	now := n.now()
	if n.news(func() bool {
		due := now.Sub(n.lived) >= n.watchdog/4
		if due {
			n.lived = now
		}
		return due
	}) {
		n.tell(daemon.SdNotifyWatchdog)
	}
}

func (n *Notifier) news(is func() bool) bool {
	if n == nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return is()
}

func (n *Notifier) tell(state string) {
	if n == nil {
		return
	}
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Debug("systemd was not told", "state", plain.Line(state), "error", err)
	}
}
