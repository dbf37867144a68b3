package exchange

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/gitboot/gitboot/internal/ctxio"
)

// Stride is how many bytes a connection must bring for its failure to be a first
// one again.
const Stride = 1 << 20

// A Patience is how faults are endured.
type Patience struct {
	Timing Timing
	Log    *slog.Logger
}

// Pause waits before attempt round+1, as long as a server asks or else twice
// as long as the time before, with some chance so that machines that lost one
// registry together do not come back to it together.
func (s Patience) Pause(ctx context.Context, round int, cause error) error {
	wait := s.Timing.Backoff << min(round-1, 10)
	wait += time.Duration(rand.Int64N(int64(wait)/4 + 1))
	wait = min(wait, s.Timing.MaxWait)
	var status *StatusError
	if errors.As(cause, &status) && status.RetryAfter > 0 {
		if wait = status.RetryAfter; wait > s.Timing.MaxWait {
			return fmt.Errorf("%w, which is longer than gitboot waits; try again then", cause)
		}
	}
	s.Log.Info("trying again", "in", wait.Round(time.Millisecond), "why", Why(cause))
	return ctxio.Sleep(ctx, wait)
}

// Timing bounds how long faults are endured. Zero fields mean the defaults.
type Timing struct {
	// Attempts is how often all sources are tried for one thing (5).
	Attempts int
	// Backoff is the pause after the first failed attempt (500 ms); it doubles.
	Backoff time.Duration
	// MaxWait is the longest pause, and the longest that a registry may ask
	// for with Retry-After (2 min).
	MaxWait time.Duration
	// Idle is how long a registry may send nothing (30 s).
	Idle time.Duration
	// MinRate is how many bytes a second it has to send at least (1000), over
	// as long as it may be silent.
	MinRate int64
}

// WithDefaults fills in what is not said.
func (t Timing) WithDefaults() Timing {
	t.Attempts = cmp.Or(t.Attempts, 5)
	t.Backoff = cmp.Or(t.Backoff, 500*time.Millisecond)
	t.MaxWait = cmp.Or(t.MaxWait, 2*time.Minute)
	t.Idle = cmp.Or(t.Idle, 30*time.Second)
	t.MinRate = cmp.Or(t.MinRate, 1000)
	return t
}
