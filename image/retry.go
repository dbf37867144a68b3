package image

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// sources are the endpoints of one image with the patience for them.
type sources struct {
	list []*endpoint
	// mirrorTags: not only the last, the registry, says what a tag means.
	mirrorTags bool
	timing     Timing
	log        *slog.Logger
}

// each asks the endpoints in order until one serves. When none does, those
// that failed for a passing reason are asked again after a pause.
func (s *sources) each(ctx context.Context, list []*endpoint, try func(*endpoint) error) error {
	lasting := make([]error, len(list))
	for round := 1; ; round++ {
		errs := make([]error, len(list))
		again := false
		for i, e := range list {
			if errs[i] = lasting[i]; errs[i] != nil {
				continue
			}
			err := try(e)
			if err == nil {
				return nil
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errs[i] = err; passing(err) {
				again = true
			} else {
				lasting[i] = err
			}
			s.log.Debug("source failed", "source", e.String(), "attempt", round, "error", err)
		}
		err := joinSources(errs)
		if !again {
			return err
		}
		if round >= s.timing.Attempts {
			return fmt.Errorf("after %d attempts: %w", round, err)
		}
		if err := s.pause(ctx, round, err); err != nil {
			return err
		}
	}
}

// pause waits before attempt round+1, as long as a server asks or else twice
// as long as the time before, with some chance so that machines that lost one
// registry together do not come back to it together.
func (s *sources) pause(ctx context.Context, round int, cause error) error {
	wait := s.timing.Backoff << min(round-1, 10)
	wait += time.Duration(rand.Int64N(int64(wait)/4 + 1))
	wait = min(wait, s.timing.MaxWait)
	var status *StatusError
	if errors.As(cause, &status) && status.RetryAfter > 0 {
		if wait = status.RetryAfter; wait > s.timing.MaxWait {
			return fmt.Errorf("%w, which is longer than gitboot waits; try again then", cause)
		}
	}
	s.log.Info("trying again", "in", wait.Round(time.Millisecond), "why", Why(cause))
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
