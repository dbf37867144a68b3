package watcher

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/gitboot/gitboot/initramfs/early/kmsg"
	"github.com/gitboot/gitboot/initramfs/early/watchdog"
)

// A guard feeds a hardware watchdog for as long as a verdict may take. If there
// is none by then, the machine restarts.
type guard struct {
	log   *kmsg.Logger
	limit time.Duration // of the verdict
	stop  chan struct{}
	done  sync.WaitGroup
}

// look is how often a device is looked for that a driver may bring yet, feeding
// how often it is fed at least.
const (
	look    = time.Second
	feeding = 10 * time.Second
)

// guard begins to look for a device, unless others mean to feed it.
func (w *watcher) guard() *guard {
	limit := time.Duration(w.health.Deadline+w.health.ConfirmWithin) * time.Second
	g := &guard{log: w.log, limit: limit, stop: make(chan struct{})}
	if w.health.NoWatchdog {
		return g
	}
	cmdline, _ := os.ReadFile("/proc/cmdline")
	if by := watchdog.Fed("/", string(cmdline)); by != "" {
		w.log.Say(kmsg.Info, "a hardware watchdog is left to the image: %s", by)
		return g
	}
	g.done.Add(1)
	go func() {
		defer g.done.Done()
		g.run()
	}()
	return g
}

// release lets the device go.
func (g *guard) release() {
	close(g.stop)
	g.done.Wait()
}

func (g *guard) run() {
	until := time.Now().Add(g.limit + grace)
	for {
		dog, err := watchdog.Open(g.limit)
		switch {
		case err == nil:
			g.log.Say(kmsg.Info, "feeding the watchdog %s, which waits for %v", dog.Name, dog.Timeout)
			g.feed(dog, until)
			return
		case !errors.Is(err, watchdog.ErrNone):
			g.log.Say(kmsg.Warning, "%v", err)
			return
		}
		select {
		case <-g.stop:
			return
		case <-time.After(look):
		}
	}
}

func (g *guard) feed(dog *watchdog.Dog, until time.Time) {
	tick := time.NewTicker(min(feeding, dog.Timeout/4))
	defer tick.Stop()
	for time.Now().Before(until) {
		if err := dog.Feed(); err != nil {
			g.log.Say(kmsg.Warning, "feeding the watchdog: %v", err)
		}
		select {
		case <-g.stop:
			if err := dog.Release(); err != nil {
				g.log.Say(kmsg.Warning, "letting the watchdog go: %v", err)
			}
			return
		case <-tick.C:
		}
	}
}
