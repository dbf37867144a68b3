// Package progress carries how far long work has come from the packages that
// do it to whoever shows it. Nothing here prints: a nil *Sink is silent, so
// that library code reports without asking whether anybody listens.
package progress

// An Event is one change of one task.
type Event struct {
	// Task names the work, for example "pull desktop sha256:1f2e…".
	Task string
	// Done and Total are in bytes; Total is 0 when it is not known.
	Done, Total int64
	// Build is set for the building of an image, which is not counted in bytes.
	Build *Build
	// Finished marks a task's last event; Err is then how it ended.
	Finished bool
	Err      error
}

// A Sink receives events. It may be called from several goroutines at once.
type Sink func(Event)

// A Task is one piece of work being reported.
type Task struct {
	sink Sink
	ev   Event
	step int64
	next int64
}

// Start begins a task. A nil sink gives a task that reports nothing.
func Start(sink Sink, name string, total int64) *Task {
	t := &Task{sink: sink, ev: Event{Task: name, Total: total}, step: 1 << 20}
	t.send()
	return t
}

// Add reports n more bytes done. Events are sent about once a mebibyte.
// A task's methods are called from one goroutine at a time.
func (t *Task) Add(n int64) {
	t.ev.Done += n
	if t.ev.Done >= t.next {
		t.next = t.ev.Done + t.step
		t.send()
	}
}

// Write lets a task count what an io.TeeReader or io.MultiWriter copies.
func (t *Task) Write(p []byte) (int, error) {
	t.Add(int64(len(p)))
	return len(p), nil
}

// End reports the last event.
func (t *Task) End(err error) {
	t.ev.Finished, t.ev.Err = true, err
	t.send()
}

func (t *Task) send() {
	if t.sink != nil {
		t.sink(t.ev)
	}
}
