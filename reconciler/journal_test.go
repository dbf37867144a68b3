package reconciler

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/state"
)

// A night without a network is a line an hour, and one in the morning.
func TestANightWithoutANetwork(t *testing.T) {
	var out bytes.Buffer
	clock := time.Date(2026, 11, 26, 22, 0, 0, 0, time.UTC)
	j := newJournal(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return clock })
	const minutes = 8 * 60
	for n := range minutes {
		j.failed(t.Context(), event.Repo, fmt.Errorf("dial: read udp 127.0.0.1:%d->127.0.0.53:53: no route to host", 40000+n))
		clock = clock.Add(time.Minute)
	}
	j.well(event.Repo)
	j.well(event.Repo)
	text := out.String()
	for what, want := range map[string]int{"reconcile failed;": 8, "times=421": 1, "is over": 1, "times=480": 1, "for=8h0m0s": 1} {
		if got := strings.Count(text, what); got != want {
			t.Errorf("%q is told %d times, want %d", what, got, want)
		}
	}
	out.Reset()
	j.failed(t.Context(), event.Repo, errors.New("permission denied"))
	j.failed(t.Context(), event.Repo, errors.New("no route to host"))
	j.failed(t.Context(), event.Machine, errors.New("no route to host"))
	if got := strings.Count(out.String(), "reconcile failed;"); got != 3 {
		t.Errorf("of three failures %d are told:\n%s", got, &out)
	}
}

// What waits for an image that failed before is neither a new failure nor well.
func TestWaitingIsNoFailure(t *testing.T) {
	var out bytes.Buffer
	j := newJournal(slog.New(slog.NewTextHandler(&out, nil)), time.Now)
	resting := machine.Result{Failed: map[string]error{"desktop": &state.RestingError{}}}
	j.failed(t.Context(), event.Machine, errors.New("no room"))
	out.Reset()
	j.run(t.Context(), event.Machine, "laptop", resting, nil)
	if out.Len() > 0 {
		t.Errorf("waiting is told:\n%s", &out)
	}
	j.run(t.Context(), event.Machine, "laptop", machine.Result{}, nil)
	if !strings.Contains(out.String(), "is over") {
		t.Errorf("that it is over is not told:\n%s", &out)
	}
}
