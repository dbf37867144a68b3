package schedule

import (
	"fmt"
	"time"
)

// epoch is before anything that this gitboot has done: a clock that says less has
// not been set.
func epoch() time.Time { return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC) }

// patience is how long after the machine's start a clock is waited for that is
// behind what is known to have happened: until then the network may set it. After
// that it has been set back.
const patience = 10 * time.Minute

// A Clock is what is known of a machine's clock.
type Clock struct {
	// Now is what it says, Up how long ago the machine was started.
	Now time.Time
	Up  time.Duration
	// Newest is the latest time at which something is known to have happened, as
	// it was noted then.
	Newest time.Time
}

// Doubt says why the clock is not believed, "" if it is. As long as it is not,
// nothing that goes by a clock is due.
func (c Clock) Doubt() string {
	switch {
	case c.Now.Before(epoch()):
		return fmt.Sprintf("the clock is not set: it says %s", c.Now.UTC().Format(time.DateTime+" MST"))
	case c.Now.Add(setBack).Before(c.Newest) && c.Up < patience:
		return fmt.Sprintf("the clock is not set yet: it says %s, and something was done at %s; it is believed when the machine has been up for %d minutes",
			c.Now.UTC().Format(time.DateTime+" MST"), c.Newest.UTC().Format(time.DateTime+" MST"), int(patience.Minutes()))
	}
	return ""
}
