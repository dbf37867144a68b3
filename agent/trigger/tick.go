package trigger

import (
	"context"
	"time"
)

// look is how long a clock is trusted to run on: one that is set, or a machine that
// slept, is noticed after that.
const look = 30 * time.Second

// tick asks once for each time that has come by the clock on the wall. due says
// which is next, the zero time for none; a timer alone would count the time awake.
func tick(ctx context.Context, now, due func() time.Time, ask func()) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var asked time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		next, wall := due(), now().Round(0) // what is compared is what clocks show
		if !next.IsZero() && !next.After(wall) && !next.Equal(asked) {
			asked = next
			ask()
		}
		timer.Reset(pause(next, wall))
	}
}

// pause is until the clock is looked at again.
func pause(next, wall time.Time) time.Duration {
	if left := next.Sub(wall); left > 0 && left < look {
		return left
	}
	return look
}
