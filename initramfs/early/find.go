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

// findStage waits for the stage's device: after looking at all that are
// there, at each that a uevent reports.
func (b *boot) findStage() (blockdev.Device, error) {
	fd, err := listen()
	if err != nil {
		return blockdev.Device{}, err
	}
	s := blockdev.Find(b.cmd.Stage.Device)
	if d, ok := s.All(); ok {
		return d, nil
	}
	events := make(chan uevent, 256)
	go receive(fd, events) // until exec ends it
	b.modules.coldplug()
	wait := defaultWait
	if b.cmd.Wait > 0 {
		wait = time.Duration(b.cmd.Wait) * time.Second
	}
	return b.await(s, events, wait)
}

// await looks at each device that comes. Drivers that take long wait until
// the quick ones have brought what they have.
func (b *boot) await(s *blockdev.Search, events <-chan uevent, wait time.Duration) (blockdev.Device, error) {
	limit, hint, quick := time.NewTimer(wait), time.NewTimer(hintAfter), time.NewTimer(0)
	for {
		select {
		case e := <-events:
			if alias := e["MODALIAS"]; alias != "" && e["ACTION"] == "add" {
				b.modules.request(alias)
			}
			if e["SUBSYSTEM"] != "block" || e["ACTION"] == "remove" {
				continue
			}
			if d, ok := look(s, e); ok {
				return d, nil
			}
		case <-quick.C:
			if !b.modules.release() {
				quick.Reset(quickSettle)
			}
		case <-hint.C:
			b.log.notice("waiting up to %v for the stage's device %s; so far there is %s", wait, b.cmd.Stage.Device, s.Summary())
		case <-limit.C:
			return blockdev.Device{}, fmt.Errorf("waiting %v for the stage's device %s: it didn't come; there is %s (%s= sets another limit)",
				wait, b.cmd.Stage.Device, s.Summary(), deployment.ParamWait)
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
