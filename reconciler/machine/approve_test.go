package machine

import (
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/state"
)

// What waits is published when its time is over, and not before; something else in
// its place begins to wait anew, and what changes nothing here does not.
func TestApproveAfter(t *testing.T) {
	h := newHouse(t)
	config := strings.Replace(twoImages, "[machine.laptop]\n", "[machine.laptop]\napprove = { after = \"12h\" }\n", 1)
	if config == twoImages {
		t.Fatal(config)
	}
	quiet := func(n string) string { return "[defaults.machine]\nkernel_args = [\"n=" + n + "\"]\n" + config }
	h.run(t, "1", quiet("1"))
	begin, menu := h.now, h.menu(t)
	run := func(revision, n string, after time.Duration) (*state.Machine, bool) {
		t.Helper()
		h.now = begin.Add(after)
		result, err := h.Run(t.Context(), h.wants(t, revision, quiet(n)), Request{Trigger: "test"}, nil)
		must(t, err)
		return h.doc(t), result.Changed
	}
	for _, c := range []struct {
		revision, n string
		after       time.Duration
		since       time.Duration // -1 for published
	}{
		{"2", "2", time.Hour, time.Hour},
		{"2", "2", 2 * time.Hour, time.Hour},
		{"3", "2", 3 * time.Hour, time.Hour}, // changes nothing here
		{"4", "3", 4 * time.Hour, 4 * time.Hour},
		{"4", "3", 16*time.Hour - time.Second, 4 * time.Hour},
		{"4", "3", 16 * time.Hour, -1},
	} {
		doc, changed := run(c.revision, c.n, c.after)
		if c.since < 0 {
			if doc.Waiting != nil || !changed || h.menu(t) == menu || doc.Revision != strings.Repeat(c.revision, 40) {
				t.Errorf("%s is not published: %+v", c.revision, doc.Waiting)
			}
			continue
		}
		if doc.Waiting == nil || changed || h.menu(t) != menu || !doc.Waiting.Since.Equal(begin.Add(c.since)) || doc.Waiting.Revision != strings.Repeat(c.revision, 40) {
			t.Errorf("%s after %s: %+v", c.revision, c.after, doc.Waiting)
		}
		if n := h.on(t); n != 4 { // two that are published, two that wait, and none of before
			t.Errorf("%s after %s: %d deployments", c.revision, c.after, n)
		}
	}
	if doc, changed := run("4", "3", 17*time.Hour); changed || doc.Waiting != nil {
		t.Errorf("%+v", doc.Waiting)
	}
}

// An image that cannot be staged keeps nothing else from having waited.
func TestApproveThoughOneFails(t *testing.T) {
	h := newHouse(t)
	config := strings.Replace(twoImages, "[machine.laptop]\n", "[machine.laptop]\napprove = \"manual\"\n", 1)
	h.run(t, "1", config)
	changed := "[defaults.machine]\nkernel_args = [\"n=2\"]\n" + config
	w := h.wants(t, "2", changed)
	_, err := h.Run(t.Context(), w, Request{Trigger: "test"}, nil)
	must(t, err)
	since := h.doc(t).Waiting.Since
	h.now = h.now.Add(time.Hour)
	delete(h.files, "other.tar")
	result, err := h.Run(t.Context(), w, Request{Trigger: "test"}, nil)
	must(t, err)
	if doc := h.doc(t); len(result.Failed) != 1 || doc.Waiting == nil || !doc.Waiting.Since.Equal(since) || len(doc.Waiting.Wants) != 2 {
		t.Errorf("%v, %+v", result.Failed, doc.Waiting)
	}
}
