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
	// Layer is the diff id of the layer that the work is on, if it is on one.
	Layer string
	// Layers announces layers that work will be done on; Task is then empty.
	Layers []Layer
	// Build is set for the building of an image, which is not counted in bytes.
	Build *Build
	// Finished marks a task's last event; Err is then how it ended.
	Finished bool
	Err      error
}

// A Layer is one of an image's layers. N of Of, from 1, is its number; Bytes is
// what has to be read of it, 0 if that is not known.
type Layer struct {
	ID, Image string
	N, Of     int
	Bytes     int64
}

// Announce tells which layers work will be done on.
func Announce(sink Sink, layers []Layer) {
	if sink != nil && len(layers) > 0 {
		sink(Event{Layers: layers})
	}
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
	return start(sink, Event{Task: name, Total: total})
}

// StartLayer begins a task that is done on the layer with a diff id.
func StartLayer(sink Sink, name, layer string, total int64) *Task {
	return start(sink, Event{Task: name, Total: total, Layer: layer})
}

func start(sink Sink, ev Event) *Task {
	t := &Task{sink: sink, ev: ev, step: 1 << 20}
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
