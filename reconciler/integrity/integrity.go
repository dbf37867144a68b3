// Package integrity has the stage read as a whole from time to time: what decays on
// a disk, nobody reads and nobody notices, until it is booted.
package integrity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/gentle"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/schedule"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/damage"
)

const (
	// Weekly is when the stage is verified by default; Off never.
	Weekly = "@weekly"
	Off    = "off"
	// Pace is how fast, in bytes a second.
	Pace gentle.Pace = 20 << 20
)

// A Look is one time that the stage was verified. The JSON fields are stable.
type Look struct {
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	// Damage is what was found; Marked is how much of it was not known.
	Damage []damage.Found `json:"damage"`
	Marked int            `json:"marked"`
}

func file(dir string) string { return filepath.Join(dir, stage.VerifiedFile) }

// Last returns the last look at a stage, the zero Look if there was none.
func Last(dir string) (l Look) {
	data, err := os.ReadFile(file(dir))
	if err != nil || json.Unmarshal(data, &l) != nil {
		return Look{}
	}
	return l
}

// Next is when a stage is to be verified next, the zero time for never. One that
// never was is, in a day: the machine has more to do when it is new.
func Next(when string, last Look, started time.Time) time.Time {
	if when == Off {
		return time.Time{}
	}
	s, err := schedule.Parse(when, started.Location())
	if err != nil {
		return time.Time{}
	}
	if last.Ended.IsZero() {
		return started.Add(24 * time.Hour)
	}
	return s.Following(last.Ended, started)
}

// Verify reads the stage at a pace, and has what is damaged marked for the next
// reconcile. The lock is taken for that alone, when all is read.
func Verify(ctx context.Context, dir string, pace gentle.Pace, now func() time.Time, sink progress.Sink) (l Look, err error) {
	st, err := stage.Open(dir)
	if err != nil {
		return l, err
	}
	l.Began = now().UTC()
	if l.Damage, err = damage.Find(ctx, st, pace, sink); err != nil {
		return l, err
	}
	lock, err := st.Lock(ctx, true)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if l.Marked, err = damage.Mark(st, l.Damage); err != nil {
		return l, err
	}
	l.Ended = now().UTC()
	return l, save(dir, l)
}

func save(dir string, l Look) error {
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(file(dir), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("note that the stage was verified: %w", err)
	}
	return nil
}
