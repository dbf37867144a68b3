package schedule

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"time"
)

// A Window is a time in which something may happen: it opens whenever its schedule
// comes, and is open for its length, by the clock on no wall.
type Window struct {
	opens  Schedule
	length time.Duration
	// late is how much later than its schedule comes it opens.
	late time.Duration
}

// longest bounds windows. What is longer than a week is no window.
const longest = 7 * 24 * time.Hour

// A window opens later by at most this, and a part of its length, where many machines
// have the same.
const (
	latest   = 15 * time.Minute
	lateness = 4
)

// Spread is the window as one of many machines has it: it opens later by a time that
// follows from the machine's name, and closes when it would. One that is open already
// as it opens does not close for that.
func (w Window) Spread(machine string) Window {
	hash := fnv.New64a()
	_, _ = io.WriteString(hash, machine) // never fails
	bound := min(w.length/lateness, latest) / time.Second
	w.late = time.Duration(hash.Sum64()%uint64(bound+1)) * time.Second
	return w
}

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
		if !w.starts(opened).After(now) {
			until, open = opened.Add(w.length), true
		}
		opened = w.opens.Next(opened)
	}
	return until, open
}

// starts is when the window opens whose schedule comes at a time.
func (w Window) starts(at time.Time) time.Time {
	if w.late == 0 || w.opens.Next(at.Add(-w.length-1)).Before(at) {
		return at // it is open still
	}
	return at.Add(w.late)
}

// Next is when the window opens next, the zero time if it does not.
func (w Window) Next(now time.Time) time.Time {
	at := w.opens.Next(now.Add(-w.late))
	for !at.IsZero() && !w.starts(at).After(now) {
		at = w.opens.Next(at)
	}
	if at.IsZero() {
		return at
	}
	return w.starts(at)
}

// awaited is when the window would be open, if it were not later than its schedule.
func (w Window) awaited(now time.Time) (since, until time.Time) {
	since = w.opens.Next(now.Add(-w.late))
	if since.IsZero() || since.After(now) {
		return time.Time{}, time.Time{}
	}
	return since, since.Add(w.length)
}

// Windows are those in which one thing may happen. Without any it always may.
type Windows []Window

// Open reports whether one of them is open, and until when one is.
func (w Windows) Open(now time.Time) (until time.Time, open bool) {
	for _, one := range w {
		if end, ok := one.Open(now); ok && end.After(until) {
			until, open = end, true
		}
		if since, end := one.awaited(now); end.After(until) && w.were(since) {
			until, open = end, true
		}
	}
	return until, open || len(w) == 0
}

// were reports whether one was open up to a time, so that what opens then goes on.
func (w Windows) were(at time.Time) bool {
	return slices.ContainsFunc(w, func(one Window) bool {
		_, open := one.Open(at.Add(-1))
		return open
	})
}

// Next is when the first of them opens that is not open yet, the zero time if none
// does.
func (w Windows) Next(now time.Time) (next time.Time) {
	for _, one := range w {
		if at := one.Next(now); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}
