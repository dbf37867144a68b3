package progress

import (
	"fmt"
	"sync"

	"github.com/gitboot/gitboot/internal/plain"
)

// Build is how far the building of an image is.
type Build struct {
	// Reason says why it is built.
	Reason string
	// Step of Steps is being executed, from 1; Steps is 0 where it is not
	// known. Cached counts those that had been executed before.
	Step, Steps, Cached int
	// Doing is what the step executes, Line what it printed last. Both are the
	// words of strangers.
	Doing, Line string
}

// Does says which step is done, without control characters: "step 3/7: RUN
// make".
func (b *Build) Does() string {
	doing := plain.Line(b.Doing)
	switch {
	case b.Step == 0:
		return doing
	case b.Steps == 0:
		return fmt.Sprintf("step %d: %s", b.Step, doing)
	}
	return fmt.Sprintf("step %d/%d: %s", b.Step, b.Steps, doing)
}

// A BuildTask is the building of one image being reported. Its methods may be
// called from several goroutines at once; those of a nil task do nothing.
type BuildTask struct {
	sink Sink
	mu   sync.Mutex
	name string
	at   Build
}

// StartBuild begins a task.
func StartBuild(sink Sink, image, reason string) *BuildTask {
	t := &BuildTask{sink: sink, name: image, at: Build{Reason: reason}}
	t.change(func(*Build) {})
	return t
}

// Step says that a step begins. An engine that executes several side by side
// says how many have begun.
func (t *BuildTask) Step(step, steps int, doing string) {
	t.change(func(b *Build) { b.Step, b.Steps, b.Doing, b.Line = step, max(step, steps), doing, "" })
}

// Cached says that a step need not be executed again.
func (t *BuildTask) Cached() { t.change(func(b *Build) { b.Cached++ }) }

// Line reports a line of output.
func (t *BuildTask) Line(line string) { t.change(func(b *Build) { b.Line = line }) }

// At returns how far it is.
func (t *BuildTask) At() Build {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at
}

// End reports the last event.
func (t *BuildTask) End(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.send(Event{Finished: true, Err: err})
}

func (t *BuildTask) change(do func(*Build)) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	do(&t.at)
	t.send(Event{})
}

// send keeps events in the order in which they came.
func (t *BuildTask) send(ev Event) {
	if t.sink != nil {
		at := t.at
		ev.Task, ev.Build = t.name, &at
		t.sink(ev)
	}
}
