package schedule

import "time"

// Next is the first time after another at which the schedule comes, the zero time
// if it does not within five years.
//
// A time zone is a row of spans in each of which a clock runs evenly. Times of day
// that lie between the end of one and the beginning of the next come with the
// next's first moment; those that had come already are over, unless the schedule
// is an hourly one.
func (s Schedule) Next(after time.Time) time.Time {
	if s.fields == nil {
		return after.Add(s.every).Truncate(time.Second)
	}
	from := after
	for began := false; ; began = true {
		here := spanAt(from.In(s.zone))
		earliest := here.wall(from)
		if began { // its first moment counts, too
			earliest = earliest.Add(-time.Second)
		}
		if !s.hourly && earliest.Before(here.seen) {
			earliest = here.seen.Add(-time.Second)
		}
		wall := s.fields.Next(earliest)
		switch {
		case wall.IsZero():
			return time.Time{}
		case here.end.IsZero() || wall.Before(here.wall(here.end)):
			return here.at(wall).In(s.zone)
		case wall.Before(spanAt(here.end).wall(here.end)):
			return here.end
		}
		from = here.end
	}
}

// A span is a time in which the clocks of a time zone are not changed.
type span struct {
	// end is when it is over, the zero time for never; offset is that of its
	// clocks from UTC.
	end    time.Time
	offset time.Duration
	// seen is the time of day up to which clocks had shown all before it.
	seen time.Time
}

func spanAt(t time.Time) span {
	start, end := t.ZoneBounds()
	s := span{end: end, offset: offset(t)}
	if !start.IsZero() {
		s.seen = span{offset: offset(start.Add(-1))}.wall(start)
	}
	return s
}

func offset(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// wall is what the span's clocks show at a time, and at the time at which they
// show it, both as if there were no time zones.
func (s span) wall(t time.Time) time.Time  { return t.UTC().Add(s.offset) }
func (s span) at(wall time.Time) time.Time { return wall.Add(-s.offset) }

// setBack is by how much a clock may be set back before what was noted by it is
// not believed any more.
const setBack = 24 * time.Hour

// Due reports whether the schedule has come since it was last followed. What was
// never followed is due, and what was followed at a time that is yet to come: the
// clock was wrong then.
func (s Schedule) Due(last, now time.Time) bool {
	if !believed(last, now) {
		return true
	}
	next := s.Next(last)
	return !next.IsZero() && !next.After(now)
}

// Following is when the schedule is due, if it was last followed at last: a time
// that has come already, if it is.
func (s Schedule) Following(last, now time.Time) time.Time {
	if !believed(last, now) {
		return now
	}
	return s.Next(last)
}

// believed reports whether a time is one at which something can have been done.
func believed(last, now time.Time) bool {
	return !last.IsZero() && !last.After(now.Add(setBack))
}
