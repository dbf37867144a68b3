package live

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// EventsKept is how many of the last events a board remembers, and what it bounds
// its memory by.
const EventsKept = 512

// A Board is what is known of an agent. Its methods may be called by several
// goroutines at once.
type Board struct {
	now func() time.Time

	mu     sync.Mutex // guards what follows
	status Status
	runs   map[string]*Run
	tasks  map[string]*task
	layers map[string]string // which image a layer is of
	failed map[string]Failure
	held   held
	events []event.Event
	// changed is closed when anything changes.
	changed chan struct{}
}

type task struct {
	Task
	part string
}

// held is why nothing is done, or not to its end, without anything failing: one
// word, such as Suspended, and a sentence; empty if nothing is held.
type held struct{ reason, message string }

// New is the board of an agent that starts now.
func New(version string, now func() time.Time) *Board {
	return &Board{
		now: now, runs: map[string]*Run{}, tasks: map[string]*task{}, layers: map[string]string{}, failed: map[string]Failure{}, changed: make(chan struct{}),
		status: Status{Version: version, Started: now().UTC(), Conditions: starting(now().UTC()), Next: []plan.Coming{}},
	}
}

// Changed is closed when something changes after the call.
func (b *Board) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// Snapshot is what is known now. It shares nothing with the board.
func (b *Board) Snapshot() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Conditions, s.Next, s.Served = slices.Clone(s.Conditions), slices.Clone(s.Next), slices.Clone(s.Served)
	s.Failures = []Failure{}
	for _, name := range slices.Sorted(maps.Keys(b.failed)) {
		s.Failures = append(s.Failures, b.failed[name])
	}
	s.Runs = []Run{}
	for _, part := range []string{event.Machine, event.Workshop} {
		if r := b.runs[part]; r != nil {
			run := *r
			run.Steps, run.Tasks = slices.Clone(r.Steps), b.tasksOf(part)
			s.Runs = append(s.Runs, run)
		}
	}
	return s
}

func (b *Board) tasksOf(part string) []Task {
	out := []Task{}
	for _, name := range slices.Sorted(maps.Keys(b.tasks)) {
		if t := b.tasks[name]; t.part == part {
			out = append(out, t.Task)
		}
	}
	return out
}

// Since returns the events after one, oldest first, and whether some between are
// forgotten.
func (b *Board) Since(id uint64) (after []event.Event, gap bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, _ := slices.BinarySearchFunc(b.events, id+1, func(e event.Event, id uint64) int { return cmp.Compare(e.ID, id) })
	after = slices.Clone(b.events[i:])
	return after, len(after) > 0 && after[0].ID != id+1 && id != 0
}

// Line says in one line how things are: for systemctl status.
func (b *Board) Line() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	ready, reconciling := b.status.Conditions[0], b.status.Conditions[1]
	if reconciling.Status == True {
		return reconciling.Message
	}
	return ready.Message
}

// SetNext says what is going to be done by itself.
func (b *Board) SetNext(next []plan.Coming) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.status.Next, next) {
		b.status.Next = append([]plan.Coming{}, next...)
		b.touch()
	}
}

// SetRestart says how far a restart is that the agent is to make, "" if none is needed.
func (b *Board) SetRestart(how string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.status.Restart != how {
		b.status.Restart = how
		b.touch()
	}
}

// Tell takes an event.
func (b *Board) Tell(e event.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.LastEvent++
	e.ID = b.status.LastEvent
	b.events = append(b.events, e)
	if extra := len(b.events) - EventsKept; extra >= EventsKept/4 {
		b.events = slices.Clone(b.events[extra:]) // what is forgotten is given back
	}
	b.note(e)
	b.judge()
	b.touch()
}

func (b *Board) note(e event.Event) {
	b.status.Machine = e.Machine
	rev := Revision{Hash: e.Revision, Subject: e.Subject, Author: e.Author}
	switch e.Kind {
	case event.Looked:
		b.status.Wanted, b.status.Tried, b.status.Looked, b.status.Remotes = rev, rev, e.Time, e.Remotes
		delete(b.failed, key(event.Repo, ""))
	case event.Refused:
		if e.Revision != "" {
			b.status.Tried = rev
		}
		b.fail(e)
	case event.Began:
		b.runs[e.Part] = &Run{Part: e.Part, Trigger: e.Trigger, Revision: e.Revision, Began: e.Time, Steps: slices.Clone(e.Steps)}
	case event.Stepped:
		if r := b.runs[e.Part]; r != nil {
			r.Step = e.Step
		}
	case event.Ended:
		b.end(e)
	case event.Held:
		b.held = held{e.Held, e.Reason}
	case event.Failed:
		if e.Part != event.Testing && e.Part != event.Revert && e.Part != event.Signing {
			b.fail(e)
		}
	case event.Recovered:
		delete(b.failed, key(e.Part, e.Image))
	}
}

// end notes that a part does nothing any more.
func (b *Board) end(e event.Event) {
	delete(b.runs, e.Part)
	maps.DeleteFunc(b.tasks, func(_ string, t *task) bool { return t.part == e.Part })
	if len(b.runs) == 0 {
		clear(b.layers)
	}
	if e.Part == event.Machine && e.Error == "" && e.Reason == "" && b.held.reason == "" {
		b.status.Applied = e.Revision
	}
}

func key(part, image string) string { return part + "/" + image }

func (b *Board) fail(e event.Event) {
	k := key(cmp.Or(e.Part, event.Repo), e.Image)
	f, was := b.failed[k]
	if !was || f.Revision != e.Revision {
		f.Since = e.Time
	}
	b.failed[k] = Failure{Part: cmp.Or(e.Part, event.Repo), Image: e.Image, Since: f.Since, Message: e.Error, Revision: e.Revision}
}

// touch tells who waits that something has changed.
func (b *Board) touch() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Served counts what was given to another machine. Who looks next sees it; it is no change
// that anybody waits for.
func (b *Board) Served(kind string, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, found := slices.BinarySearchFunc(b.status.Served, kind, func(s Served, kind string) int { return cmp.Compare(s.Kind, kind) })
	if !found {
		b.status.Served = slices.Insert(b.status.Served, i, Served{Kind: kind})
	}
	b.status.Served[i].Requests++
	b.status.Served[i].Bytes += bytes
}

// Progress takes how far work is; it is a progress.Sink.
func (b *Board) Progress(ev progress.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range ev.Layers {
		b.layers[l.ID] = l.Image
	}
	if ev.Task == "" {
		return
	}
	if ev.Finished {
		delete(b.tasks, ev.Task)
		b.touch()
		return
	}
	t := b.tasks[ev.Task]
	if t == nil {
		t = &task{Task: Task{Name: plain.Line(ev.Task), Image: b.layers[ev.Layer], Began: b.now().UTC()}, part: event.Machine}
		b.tasks[ev.Task] = t
	}
	t.Done, t.Total = ev.Done, ev.Total
	if ev.Build != nil {
		t.part, t.Image, t.Name = event.Workshop, plain.Line(ev.Task), "build "+plain.Line(ev.Task)
		t.At, t.Line = ev.Build.Does(), plain.Line(ev.Build.Line)
	}
	b.touch()
}
