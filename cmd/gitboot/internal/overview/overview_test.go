package overview

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/internal/progress"
)

// What is known of the time: how fast it is, what is left, what does nothing.
func TestRateAndSlowness(t *testing.T) {
	var o Overview
	at := time.Unix(1e9, 0)
	o.Event(progress.Event{Layers: []progress.Layer{{ID: "a", Image: "desktop", N: 1, Of: 2, Bytes: 60e6}, {ID: "b", Image: "desktop", N: 2, Of: 2, Bytes: 40e6}}}, at)
	if got := o.Lines(80, at); got != nil {
		t.Errorf("nothing goes on, and it shows %q", got)
	}
	for second := range 6 {
		o.Event(progress.Event{Task: "pull a", Layer: "a", Done: int64(second) * 10e6, Total: 60e6}, at.Add(time.Duration(second)*time.Second))
	}
	o.Note("trying again in 2s: 503", at.Add(5*time.Second))
	expect(t, o.Lines(80, at.Add(5*time.Second)),
		"pulling desktop  0 of 2 layers  50.0 of 100.0 MB  50 %  10.0 MB/s  5s left",
		"  desktop, layer 1 of 2             50.0 of 60.0 MB",
		"  trying again in 2s: 503")
	expect(t, o.Lines(80, at.Add(25*time.Second))[1:], "  desktop, layer 1 of 2             50.0 of 60.0 MB  nothing for 20s")

	o.Event(progress.Event{Task: "pull a", Layer: "a", Done: 60e6, Total: 60e6, Finished: true}, at.Add(26*time.Second))
	o.Event(progress.Event{Task: "squash sha256:a", Layer: "a", Done: 90e6, Finished: true}, at.Add(27*time.Second))
	if !o.Idle() || o.Lines(80, at) != nil {
		t.Error("it does not end")
	}
	o.Event(progress.Event{Task: "pull b", Layer: "b", Done: 1, Total: 40e6}, at.Add(28*time.Second))
	if got := o.Lines(80, at.Add(28*time.Second)); !strings.HasPrefix(got[0], "pulling desktop  1 of 2 layers  60.0 of 100.0 MB  60 %") {
		t.Errorf("%q", got)
	}
}

// Another run counts from the beginning; what failed is not waited for.
func TestRunsAreApart(t *testing.T) {
	var o Overview
	at := time.Unix(1e9, 0)
	o.Event(progress.Event{Task: "verify 1", Done: 5, Total: 5, Finished: true, Err: errors.New("no")}, at)
	o.Event(progress.Event{Task: "verify 2", Done: 5e6, Total: 10e6}, at.Add(time.Minute))
	expect(t, o.Lines(80, at.Add(time.Minute)), "verifying  5.0 of 10.0 MB  50 %", "  2                                 5.0 of 10.0 MB")
}

// Many works are folded, and no line is wider than the terminal.
func TestManyWorks(t *testing.T) {
	var o Overview
	at := time.Unix(1e9, 0)
	for _, name := range strings.Split("a b c d e f g h i", " ") {
		o.Event(progress.Event{Task: "push " + strings.Repeat(name, 60), Done: 1, Total: 2}, at)
	}
	lines := o.Lines(40, at)
	if n := len(lines); n != 1+maxLines+1 || lines[n-1] != "  and 3 more" {
		t.Errorf("%q", lines)
	}
	for _, line := range lines {
		if n := len([]rune(line)); n > 40 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("it shows\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
