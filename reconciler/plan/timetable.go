package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/gitboot/gitboot/schedule"
)

// What is done by itself when its time has come.
const (
	ComingUpdate  = "update"  // a registry is asked for a new digest
	ComingBuild   = "build"   // an image is built anew
	ComingRetry   = "retry"   // what has failed is tried again
	ComingPublish = "publish" // what is staged may change entries
	ComingReboot  = "reboot-window"
	ComingResume  = "resume" // a suspension ends
)

// A Timetable is all that decides when something is done by itself.
type Timetable struct {
	// Doubt says why the clock is not believed, "" if it is.
	Doubt string
	// Recurring is what schedules say, Failed what is tried again.
	Recurring []Recurring
	Failed    []Resting
	// Holds are why something waits to be published.
	Holds []Hold
	// Reboots are when the machine may be restarted; Suspension, while it stands,
	// that nothing is done.
	Reboots    schedule.Windows
	Suspension *Suspension
}

// Recurring is what a schedule has done for an image, at Last for the last time.
type Recurring struct {
	What, Image, Schedule string
	Last                  time.Time
}

// Resting is what has failed and is left alone for now.
type Resting struct {
	Image string
	Tries
}

// NextDue is what comes by itself, the soonest first. What is due already has a
// time that has come; what rests is not, whatever its schedule says.
func (t Timetable) NextDue(now time.Time) []Coming {
	next := []Coming{}
	add := func(at time.Time, what, image, why string) {
		if !at.IsZero() {
			next = append(next, Coming{Time: at.UTC().Truncate(time.Second), What: what, Image: image, Why: why})
		}
	}
	if t.Suspension.Stands(now) {
		add(t.Suspension.Until, ComingResume, "", "the suspension ends")
		return next
	}
	rests := map[string]bool{}
	for _, f := range t.Failed {
		if f.Rest(now) {
			rests[f.Image] = true
			add(f.Next, ComingRetry, f.Image, "it has failed "+times(f.Attempts))
		}
	}
	for _, r := range t.Recurring {
		if rests[r.Image] {
			continue
		}
		if s, err := schedule.Parse(r.Schedule, now.Location()); err == nil && t.Doubt == "" {
			add(s.Following(r.Last, now), r.What, r.Image, "schedule "+r.Schedule)
		}
	}
	for _, h := range t.Holds {
		add(h.Until, ComingPublish, "", "what is staged waits "+h.Why)
	}
	if t.Doubt == "" {
		add(t.Reboots.Next(now), ComingReboot, "", "a window opens in which the machine may be restarted")
	}
	slices.SortStableFunc(next, func(a, b Coming) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.What, b.What), cmp.Compare(a.Image, b.Image))
	})
	return next
}
