package machine

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/state"
)

// A registry that fails is asked ever more rarely by whoever polls, and at once by
// a person, for another declaration, and when its time has come; meanwhile nothing
// is written.
func TestPatience(t *testing.T) {
	h := newHouse(t)
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	config := "[image.desktop]\npull = \"" + strings.TrimPrefix(server.URL, "http://") + "/desktop:1\"\ninsecure = true\n[machine.laptop]\nimages = [\"desktop\"]\n"
	patient := Request{Trigger: "poll", Patient: true}
	for _, c := range []struct {
		what     string
		after    time.Duration
		config   string
		req      Request
		asks     bool
		attempts int
	}{
		{"the first poll", 0, config, patient, true, 1},
		{"the next", 30 * time.Second, config, patient, false, 1},
		{"a minute later", 30 * time.Second, config, patient, true, 2},
		{"a person", time.Second, config, Request{Trigger: "command"}, true, 2},
		{"two minutes later", 2 * time.Minute, config, patient, true, 3},
		{"at once", 0, config, patient, false, 3},
		{"declared otherwise", 0, strings.Replace(config, "desktop:1", "desktop:2", 1), patient, true, 1},
		{"and back, as if for the first time", 0, config, patient, true, 1},
		{"the clock was wrong by a year", -365 * 24 * time.Hour, config, patient, true, 2},
	} {
		h.now = h.now.Add(c.after)
		before, was := asked.Load(), h.doc(t)
		result, err := h.Run(t.Context(), h.wants(t, "1", c.config), c.req, nil)
		must(t, err)
		f := h.doc(t).Images["desktop"].Failure
		if asks := asked.Load() > before; asks != c.asks || f.Attempts != c.attempts || result.Failed["desktop"] == nil {
			t.Errorf("%s: asks is %t, %+v, %v", c.what, asks, f, result.Failed)
		}
		if rests := errors.As(result.Failed["desktop"], new(*state.RestingError)); rests == c.asks {
			t.Errorf("%s: rests is %t", c.what, rests)
		}
		if !c.asks && !was.Same(h.doc(t)) {
			t.Errorf("%s: it writes", c.what)
		}
	}
}

// An archive that is put right is looked at when it is.
func TestPatienceWithAnArchive(t *testing.T) {
	h := newHouse(t)
	good := h.files["plain.tar"].Data
	h.files["plain.tar"].Data = []byte("no tar")
	config := "[image.plain]\narchive = \"./plain.tar\"\n[machine.laptop]\nimages = [\"plain\"]\n"
	patient := Request{Trigger: "poll", Patient: true}
	for range 2 {
		result, err := h.Run(t.Context(), h.wants(t, "1", config), patient, nil)
		must(t, err)
		if result.Failed["plain"] == nil {
			t.Fatal("what is no tar is staged")
		}
	}
	h.files["plain.tar"].Data = good
	result, err := h.Run(t.Context(), h.wants(t, "2", config), patient, nil)
	must(t, err)
	if len(result.Failed) > 0 || !result.Changed {
		t.Errorf("%v", result.Failed)
	}
}
