// Package overview turns the events of long work into the few lines that people
// want to see while it goes on: what is done, how far it is in all, what goes on
// now, what is slow, and what is tried again. Images have their names and layers
// their numbers; what has ended is only counted. It is pure: it is told the time
// and the width, and draws nothing itself.
package overview

import (
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/internal/progress"
)

const (
	// window is the time that a rate is measured over.
	window = 10 * time.Second
	// noteFor is how long a note stays.
	noteFor = 15 * time.Second
	// forget is how long nothing goes on until what was counted belongs to
	// another run.
	forget = 30 * time.Second
)

// An Overview is told events, and says what to show. It is used by one
// goroutine at a time.
type Overview struct {
	works   []*work // in the order in which they were announced or began
	byKey   map[string]*work
	samples []sample
	note    string
	noted   time.Time
	last    time.Time // when an event came
}

// A work is one layer, one other task, or one build.
type work struct {
	what  string // "pull", "squash", "verify" and the like
	name  string // what it is done to
	layer progress.Layer
	// pulled layers are measured by what is pulled, not by what is squashed.
	pulled bool

	done, total    int64
	began, changed time.Time
	ended          bool
	build          *progress.Build
}

type sample struct {
	at   time.Time
	done int64
}

func (w *work) active() bool { return !w.began.IsZero() && !w.ended }

// Event takes in what has changed.
func (o *Overview) Event(ev progress.Event, now time.Time) {
	if o.Idle() && now.Sub(o.last) > forget {
		*o = Overview{}
	}
	o.last = now
	for _, l := range ev.Layers {
		o.announce(l)
	}
	if ev.Task == "" {
		return
	}
	w := o.find(ev)
	if w.began.IsZero() {
		w.began, w.changed = now, now
	}
	what, name, _ := strings.Cut(ev.Task, " ")
	switch {
	case ev.Build != nil:
		if b := ev.Build; w.build == nil || *w.build != *b {
			w.changed = now
		}
		w.what, w.name, w.build, w.ended = "build", ev.Task, ev.Build, ev.Finished
	case ev.Layer != "" && what == "squash" && w.pulled:
		w.ended = w.ended || ev.Finished
	case ev.Layer != "" && what == "pull":
		w.pulled = true
		w.measure(ev, now)
		if w.what = what; ev.Finished && ev.Err == nil {
			w.what = "squash"
		}
	default:
		w.what, w.name = what, name
		w.measure(ev, now)
		w.ended = ev.Finished
	}
	o.sample(now)
}

func (w *work) measure(ev progress.Event, now time.Time) {
	if ev.Done != w.done {
		w.changed = now
	}
	w.done, w.total = ev.Done, max(ev.Total, w.total, ev.Done)
}

func (o *Overview) announce(l progress.Layer) {
	if o.byKey[l.ID] == nil {
		o.add(l.ID, &work{layer: l, total: l.Bytes})
	}
}

func (o *Overview) add(key string, w *work) {
	if o.byKey == nil {
		o.byKey = map[string]*work{}
	}
	o.byKey[key] = w
	o.works = append(o.works, w)
}

// find returns what an event is about. What has ended and begins again is
// another work, but for a layer, which is pulled and then squashed.
func (o *Overview) find(ev progress.Event) *work {
	key := ev.Layer
	if key == "" {
		key = ev.Task
	}
	w := o.byKey[key]
	if w == nil || w.ended && ev.Layer == "" {
		w = &work{}
		o.add(key, w)
	}
	return w
}

func (o *Overview) sample(now time.Time) {
	n := len(o.samples)
	if n > 0 && now.Sub(o.samples[n-1].at) < window/20 {
		return
	}
	done, _ := o.bytes()
	o.samples = append(o.samples, sample{now, done})
	o.samples = slices.DeleteFunc(o.samples, func(s sample) bool { return now.Sub(s.at) > window })
}

// bytes says how much of how much is done.
func (o *Overview) bytes() (done, total int64) {
	for _, w := range o.works {
		done, total = done+w.done, total+max(w.total, w.done)
	}
	return done, total
}

// rate is in bytes a second, 0 if it is not known.
func (o *Overview) rate(now time.Time) int64 {
	if len(o.samples) == 0 || now.Sub(o.samples[0].at) < time.Second {
		return 0
	}
	done, _ := o.bytes()
	return max(0, int64(float64(done-o.samples[0].done)/now.Sub(o.samples[0].at).Seconds()))
}

// Note shows for a while what is tried again.
func (o *Overview) Note(text string, now time.Time) { o.note, o.noted = text, now }

// Idle reports whether nothing goes on.
func (o *Overview) Idle() bool {
	return !slices.ContainsFunc(o.works, (*work).active)
}
