package schedule

import (
	"errors"
	"fmt"
	"time"
)

// A Window is a time in which something may happen: it opens whenever its schedule
// comes, and is open for its length, by the clock on no wall.
type Window struct {
	opens  Schedule
	length time.Duration
}

// longest bounds windows. What is longer than a week is no window.
const longest = 7 * 24 * time.Hour

// ParseWindow reads a window: when it opens, for how long, and in which time zone,
// "" for the schedule's own or else local.
func ParseWindow(cron string, length time.Duration, zone string, local *time.Location) (Window, error) {
	if zone != "" {
		if named, _, err := cutZone(cron); err == nil && named != nil {
			return Window{}, errors.New("names a time zone, and so does its schedule")
		}
		var err error
		if local, err = Zone(zone); err != nil {
			return Window{}, err
		}
	}
	opens, err := Parse(cron, local)
	switch {
	case err != nil:
		return Window{}, err
	case opens.fields == nil:
		return Window{}, errors.New("opens at no time of day: @every counts from a time that no window has")
	case length < shortest || length > longest:
		return Window{}, fmt.Errorf("is open for %s, which is not from a minute to a week", length)
	}
	return Window{opens: opens, length: length}, nil
}

// Open reports whether the window is open, and until when it then is. One that
// opens again before it closes stays open.
func (w Window) Open(now time.Time) (until time.Time, open bool) {
	opened := w.opens.Next(now.Add(-w.length))
	for !opened.IsZero() && !opened.After(now) {
		until, open = opened.Add(w.length), true
		opened = w.opens.Next(opened)
	}
	return until, open
}

// Windows are those in which one thing may happen. Without any it always may.
type Windows []Window

// Open reports whether one of them is open, and until when one is.
func (w Windows) Open(now time.Time) (until time.Time, open bool) {
	for _, one := range w {
		if end, ok := one.Open(now); ok && end.After(until) {
			until, open = end, true
		}
	}
	return until, open || len(w) == 0
}

// Next is when the first of them opens that is not open yet, the zero time if none
// does.
func (w Windows) Next(now time.Time) (next time.Time) {
	for _, one := range w {
		if at := one.opens.Next(now); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}
