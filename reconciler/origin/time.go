package origin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// DefaultTurn is how long an image may take before others overtake it: most
	// are through by then.
	DefaultTurn = 2 * time.Minute
	// defaultImageTime is when an image is given up.
	defaultImageTime = 12 * time.Hour
)

var errTooLong = errors.New("fetching it took too long")

// InTime gives fetching an image up when it takes longer than allowed; 0 means
// the default.
func InTime(ctx context.Context, allowed time.Duration, do func(context.Context) error) error {
	allowed = cmp.Or(allowed, defaultImageTime)
	timed, cancel := context.WithTimeoutCause(ctx, allowed, errTooLong)
	defer cancel()
	err := do(timed)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(timed), errTooLong) {
		return fmt.Errorf("%w, more than %s: look at what its server does, or allow more by image_time in agent.toml", errTooLong, allowed)
	}
	return err
}

// First tells when one of several is done.
func First[T any](all []T, done func(T) <-chan struct{}) <-chan struct{} {
	came := make(chan struct{}, len(all))
	for _, one := range all {
		go func() { <-done(one); came <- struct{}{} }()
	}
	return came
}
