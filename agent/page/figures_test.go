package page

import (
	"io"
	"net/http"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/tests/need"
)

// used is the processor time of this process.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// The first byte comes within 20 ms, and a change within 200 ms, to each of fifty
// pages that are open; and while nothing changes they cost next to nothing. A busy
// computer may take ten times as long.
func TestFigures(t *testing.T) {
	need.Long(t)
	w := newWorld(t)
	w.rest()
	var first []time.Duration
	for range 51 {
		began := time.Now()
		answer, err := http.Get(w.url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := answer.Body.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		first = append(first, time.Since(began))
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	before := memory()
	pages := make([]listener, 50)
	for i := range pages {
		pages[i] = w.listen(t, "/events")
		pages[i].until(t, "top", "Ready")
	}
	held := memory() - before
	var updates []time.Duration
	for range 10 {
		for _, e := range []event.Event{{Kind: event.Refused, Machine: "laptop", Part: event.Repo, Error: "no route to host"}, {Kind: event.Looked, Machine: "laptop", Revision: hash}} {
			began, want := time.Now(), map[event.Kind]string{event.Refused: "Stalled", event.Looked: "Ready"}[e.Kind]
			e.Time = began
			w.board.Tell(e)
			for _, p := range pages {
				p.until(t, "top", want)
			}
			updates = append(updates, time.Since(began))
		}
	}
	busy := used(t)
	const rest = 3 * time.Second
	<-time.After(rest)
	idle := float64(used(t)-busy) / float64(rest)
	t.Logf("first byte %s; a change is on all of 50 pages in %s, at most %s; at rest they take %.3f %% of a processor and %d kB", median(first), median(updates), slices.Max(updates), 100*idle, held>>10)
	if median(first) > 200*time.Millisecond || median(updates) > 2*time.Second || idle > 0.005 || held > 20<<20 {
		t.Error("that is more than it may be")
	}
}

// memory is what is held, here by both ends of each connection.
func memory() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
