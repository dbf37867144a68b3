package progress

import (
	"errors"
	"testing"
)

func TestEventsTellStartMiddleAndEnd(t *testing.T) {
	var events []Event
	task := Start(func(e Event) { events = append(events, e) }, "pull", 3<<20)
	for range 3 * 16 {
		if n, err := task.Write(make([]byte, 1<<16)); n != 1<<16 || err != nil {
			t.Fatal(n, err)
		}
	}
	task.End(errors.New("cut"))
	first, last := events[0], events[len(events)-1]
	if first.Task != "pull" || first.Total != 3<<20 || first.Finished {
		t.Errorf("first is %+v", first)
	}
	if last.Done != 3<<20 || !last.Finished || last.Err == nil {
		t.Errorf("last is %+v", last)
	}
	if len(events) < 4 || len(events) > 6 {
		t.Errorf("%d events for 3 MiB", len(events))
	}
}

func TestNobodyNeedsToListen(t *testing.T) {
	task := Start(nil, "x", 0)
	task.Add(5)
	task.End(nil)
}
