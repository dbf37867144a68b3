package early

import (
	"fmt"
	"strings"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/blockdev"
)

const (
	hintAfter = 5 * time.Second
	// quickSettle is how long quick drivers must have been idle.
	quickSettle = 50 * time.Millisecond
)

// devices are found as they come, while drivers are loaded for them.
type devices struct {
	log     *log
	modules *modules
	wait    time.Duration // for how long one is waited for
	events  <-chan uevent // nil until they are listened to
	plugged bool          // drivers were asked for of the devices that were there
}

// find waits for a device: after looking at all that are there, at each that a uevent
// reports.
func (d *devices) find(what, name string) (blockdev.Device, error) {
	s := blockdev.Find(name)
	if d.events == nil {
		events, err := hear()
		if err != nil {
			return blockdev.Device{}, err
		}
		d.events = events
	}
	if found, ok := s.All(); ok {
		return found, nil
	}
	if !d.plugged {
		d.modules.coldplug()
		d.plugged = true
	}
	return d.await(s, what, name)
}

// hear opens the kernel's events, until exec ends it.
func hear() (<-chan uevent, error) {
	fd, err := listen()
	if err != nil {
		return nil, err
	}
	events := make(chan uevent, 256)
	go receive(fd, events)
	return events, nil
}

// await looks at each device that comes. Drivers that take long wait until
// the quick ones have brought what they have.
func (d *devices) await(s *blockdev.Search, what, name string) (blockdev.Device, error) {
	limit, hint, quick := time.NewTimer(d.wait), time.NewTimer(hintAfter), time.NewTimer(0)
	for {
		select {
		case e := <-d.events:
			if alias := e["MODALIAS"]; alias != "" && e["ACTION"] == "add" {
				d.modules.request(alias)
			}
			if e["SUBSYSTEM"] != "block" || e["ACTION"] == "remove" {
				continue
			}
			if found, ok := look(s, e); ok {
				return found, nil
			}
		case <-quick.C:
			if !d.modules.release() {
				quick.Reset(quickSettle)
			}
		case <-hint.C:
			d.log.notice("waiting up to %v for %s %s; so far there is %s", d.wait, what, name, s.Summary())
		case <-limit.C:
			return blockdev.Device{}, fmt.Errorf("waiting %v for %s %s: it didn't come; there is %s (%s= sets another limit)",
				d.wait, what, name, s.Summary(), deployment.ParamWait)
		}
	}
}

// look looks at what an event is about, or at everything.
func look(s *blockdev.Search, e uevent) (blockdev.Device, bool) {
	name := e["DEVNAME"]
	if name == "" {
		return s.All()
	}
	return s.Look(strings.TrimPrefix(name, "/dev/"))
}
