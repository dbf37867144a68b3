package trigger

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A desk is somebody's clock, and what is to be done by it.
type desk struct {
	mu     sync.Mutex
	ahead  time.Duration // of the time awake
	coming time.Time
}

func (d *desk) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Add(d.ahead)
}

func (d *desk) due() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.coming
}

func (d *desk) set(coming time.Time, ahead time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.coming, d.ahead = coming, ahead
}

// What has come is asked for once, to the second if nothing happens to the clock,
// within half a minute whatever does; and a processor is woken twice a minute.
func TestTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d desk
		var asked, looked int
		ctx, stop := context.WithCancel(t.Context())
		go tick(ctx, d.now, func() time.Time { looked++; return d.due() }, func() { asked++ })
		expect := func(what string, after time.Duration, want int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if asked != want {
				t.Errorf("%s: asked %d times, not %d", what, asked, want)
			}
		}
		expect("nothing is to come", time.Hour, 0)
		if looked > 122 {
			t.Errorf("in an hour the clock was looked at %d times", looked)
		}
		d.set(time.Now().Add(90*time.Second), 0)
		expect("not yet", 89*time.Second, 0)
		expect("it comes", time.Second, 1)
		expect("it is asked for once", time.Hour, 1)
		d.set(time.Now().Add(8*time.Hour), 0)
		expect("at night", time.Hour, 1)
		d.set(d.due(), 10*time.Hour) // the machine slept, or its clock was set
		expect("it woke after it", look, 2)
		d.set(d.now().Add(time.Minute), 10*time.Hour)
		expect("the next", 2*time.Minute, 3)
		d.set(d.now().Add(time.Minute), 0) // the clock was set back
		expect("not before its time", 9*time.Hour, 3)
		expect("but then", 2*time.Hour, 4)
		stop()
	})
}
