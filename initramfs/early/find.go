package early

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/assemble"
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
	arrays  []string      // that are assembled: their members are looked at by nobody else
}

// find waits for a device: after looking at all that are there, at each that a uevent
// reports.
func (d *devices) find(what, name string) (blockdev.Device, error) {
	return d.findUnless(what, name, nil)
}

// findUnless is find of a device that, after a while, is done without if there is enough
// else. Then it has no path.
func (d *devices) findUnless(what, name string, enough func() bool) (found blockdev.Device, err error) {
	s := blockdev.Find(name)
	err = d.await(quest{what: what + " " + name, seen: s.Summary, enough: enough, look: func(name string) bool {
		if d.member(name) {
			return false
		}
		device, ok := s.Look(name)
		if ok = ok && d.whole(device); ok {
			found = device
		}
		return ok
	}})
	return found, err
}

// member reports whether a device is a part of an array that is assembled.
func (d *devices) member(name string) bool {
	return len(d.arrays) > 0 && !blockdev.Skip(name, "") && assemble.MemberOf(name, d.arrays)
}

// whole reports whether all devices of a file system are there, which btrfs may have
// several of: each is shown to it when it comes.
func (d *devices) whole(device blockdev.Device) bool {
	if device.FS.Type != "btrfs" {
		return true
	}
	if err := d.modules.loadNamed("btrfs"); err != nil {
		return true // mounting tells that
	}
	return device.Whole()
}

// A quest is for what block devices bring.
type quest struct {
	what string
	// look looks at a block device by its name, and reports whether all has come.
	look func(name string) bool
	// seen tells what has.
	seen func() string
	// enough, if that is not nil, reports whether what has come after a while will do.
	enough func() bool
}

// all looks at every block device there is.
func (q quest) all() bool {
	return slices.ContainsFunc(blockdev.Names(), q.look)
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

// patience is how long the rest of what would do without it is waited for: half of the
// time, and no longer than mdadm's own.
func (d *devices) patience() time.Duration { return min(d.wait/2, 30*time.Second) }

// attend loads drivers for devices that come, quick ones and slow ones, until a context
// ends; what nobody looks for meanwhile is found by looking at all.
func (d *devices) attend(ctx context.Context) {
	settle := time.NewTicker(quickSettle)
	defer settle.Stop()
	for {
		select {
		case e := <-d.events:
			d.drive(e)
		case <-settle.C:
			if d.modules.release() {
				settle.Stop()
			}
		case <-ctx.Done():
			return
		}
	}
}

// drive has a device's driver loaded.
func (d *devices) drive(e uevent) {
	if alias := e["MODALIAS"]; alias != "" && e["ACTION"] == "add" {
		d.modules.request(alias)
	}
}

// await looks at all devices that are there, and at each that comes. Drivers that take
// long wait until the quick ones have brought what they have.
func (d *devices) await(q quest) error {
	if d.events == nil {
		events, err := hear()
		if err != nil {
			return err
		}
		d.events = events
	}
	if q.all() {
		return nil
	}
	if !d.plugged {
		d.modules.coldplug()
		d.plugged = true
	}
	limit, hint, quick, rest := time.NewTimer(d.wait), time.NewTimer(hintAfter), time.NewTimer(0), time.NewTimer(d.patience())
	for {
		select {
		case e := <-d.events:
			d.drive(e)
			if e["SUBSYSTEM"] == "block" && e["ACTION"] != "remove" && q.event(e) {
				return nil
			}
		case <-quick.C:
			if !d.modules.release() {
				quick.Reset(quickSettle)
			}
		case <-hint.C:
			d.log.notice("waiting up to %v for %s; so far there is %s", d.wait, q.what, q.seen())
		case <-rest.C:
			if q.without(d.log) {
				return nil
			}
		case <-limit.C:
			if q.without(d.log) {
				return nil
			}
			return fmt.Errorf("waiting %v for %s: it didn't come; there is %s (%s= sets another limit)",
				d.wait, q.what, q.seen(), deployment.ParamWait)
		}
	}
}

// without reports whether what has come will do.
func (q quest) without(l *log) bool {
	if q.enough == nil || !q.enough() {
		return false
	}
	l.warn("going on without %s: %s", q.what, q.seen())
	return true
}

// event looks at what an event is about, or at everything.
func (q quest) event(e uevent) bool {
	name := e["DEVNAME"]
	if name == "" {
		return q.all()
	}
	return q.look(strings.ReplaceAll(strings.TrimPrefix(name, "/dev/"), "/", "!"))
}
