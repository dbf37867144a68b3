// Package flock waits for flock(2) together with a context, which the kernel
// cannot: it tries again and again. A lock ends with the process that has it.
package flock

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// period is how often a lock is tried.
const period = 100 * time.Millisecond

// Exclusive waits until nobody else has f locked, and locks it.
func Exclusive(ctx context.Context, f *os.File) error { return wait(ctx, f, unix.LOCK_EX) }

// Try locks f, or fails with EWOULDBLOCK if somebody has it locked.
func Try(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Shared waits until nobody has f locked exclusively, and locks it together with
// others.
func Shared(ctx context.Context, f *os.File) error { return wait(ctx, f, unix.LOCK_SH) }

func wait(ctx context.Context, f *os.File, how int) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// Release unlocks f and closes it. Closing alone would leave it locked as long
// as a process that is just being started shares it.
func Release(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}
