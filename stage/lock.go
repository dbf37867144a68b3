package stage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/stage/lock"
)

// ErrLocked is that another process has the lock that was asked for. The error
// that carries it says whose lock that is, and names the process where the
// kernel tells.
var ErrLocked = lock.ErrHeld

// A Lock allows its holder to write: that of the stage to all but the
// workshop's folders, that of the workshop to these.
type Lock = lock.Lock

// Lock takes the stage for writing. If it is taken, Lock fails with ErrLocked
// or, with wait, waits until ctx ends. A stage whose mount is read-only is
// writable while this lock or the workshop's is held.
//
// Nothing is written by locking alone.
func (s *Stage) Lock(ctx context.Context, wait bool) (*Lock, error) {
	return locks(s.Layout).Take(ctx, s.lockFile(), "stage", wait)
}

// LockWorkshop takes the workshop, as Lock takes the stage. Neither waits for
// the other. A stage that has no workshop gets an empty one.
func (s *Stage) LockWorkshop(ctx context.Context, wait bool) (*Lock, error) {
	if _, err := os.Lstat(s.Workshop().lockFile()); errors.Is(err, fs.ErrNotExist) {
		if err := locks(s.Layout).Make(ctx, func() error { return makeWorkshop(s.Layout) }); err != nil {
			return nil, fmt.Errorf("make workshop of stage %s: %w", s.Dir(), err)
		}
	}
	return locks(s.Layout).Take(ctx, s.Workshop().lockFile(), "workshop", wait)
}

// locks says what is made writable for locks.
func locks(l Layout) lock.Place { return lock.Place{Dir: l.Dir(), Gate: gate(l)} }

// gate is what lock.Place wants one to be. No stage was ever without this.
func gate(l Layout) string { return filepath.Join(l.Dir(), "objects") }
