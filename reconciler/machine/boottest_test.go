package machine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/state"
)

// What is new waits, staged, until it has come up in a virtual machine. What does not is
// taken off the stage, and known: it is neither staged nor tested again, until somebody
// asks for it. One that is bad holds up no other.
func TestBootTest(t *testing.T) {
	h := newHouse(t)
	config := strings.Replace(twoImages, "[machine.laptop]\n", "[machine.laptop]\nboot_test = \"on\"\n", 1)
	w := h.wants(t, "1", config)
	key := w.Wants.BootTest.Key()
	again := func(req Request) Result {
		t.Helper()
		result, err := h.Run(t.Context(), w, req, nil)
		must(t, err)
		return result
	}
	note := func(of state.Found, test *state.Test, failure error) {
		t.Helper()
		must(t, Bench{h.Machine}.Rehearsed(t.Context(), of, key, test, failure, func(*state.Machine) error { return nil }))
	}

	result := again(Request{})
	ready := state.Untested(h.doc(t), key)
	if len(result.Plan.Untested) != 2 || len(ready) != 2 || ready[0].Image != "plain" || h.on(t) != 2 || len(h.numbers(t, "plain")) != 0 {
		t.Fatalf("%+v, ready %v", result.Plan.Untested, ready)
	}

	// That it could not be found out is a reason to wait, and says so.
	note(ready[0], nil, errors.New("no room for a disk"))
	if holds := again(Request{}).Plan.Holds; !strings.HasPrefix(holds[0].String(), "for the boot test of plain (") || len(state.Untested(h.doc(t), key)) != 2 {
		t.Errorf("it waits %v", holds)
	}

	// One comes up, the other does not.
	note(ready[1], &state.Test{Key: key, Time: h.now}, nil)
	note(ready[0], &state.Test{Key: key, Time: h.now, Failure: "the kernel panicked", Console: []string{"oops"}}, nil)
	if h.on(t) != 1 {
		t.Errorf("%d are on the stage", h.on(t))
	}
	result = again(Request{})
	err := result.Failed["plain"]
	if err == nil || !strings.HasPrefix(err.Error(), "boot test: the kernel panicked; it has no menu entry since ") || !strings.HasSuffix(err.Error(), "its last lines:\n    oops") {
		t.Errorf("plain: %v", err)
	}
	if f := h.doc(t).Images["plain"].Failure; f == nil || f.Attempts != 0 {
		t.Errorf("kept: %+v", f)
	}
	if g := h.doc(t).Images["other"].Newest(); g == nil || g.Test == nil {
		t.Errorf("how its test went is lost: %+v", g)
	}
	if len(h.numbers(t, "other")) != 1 || len(h.numbers(t, "plain")) != 0 || strings.Contains(h.menu(t), "gitboot-plain") || h.doc(t).Waiting != nil {
		t.Errorf("generations %v and %v", h.numbers(t, "other"), h.numbers(t, "plain"))
	}
	h.now = h.now.Add(time.Hour)
	if result = again(Request{Patient: true}); result.Changed || errors.As(result.Failed["plain"], new(*state.RestingError)) == false || h.on(t) != 1 {
		t.Errorf("it is staged again: %+v", result)
	}

	// Somebody asks for it: it is staged, and has to come up.
	if result = again(Request{Retry: true}); len(result.Plan.Untested) != 1 || h.doc(t).Verdicts.State(ready[0].Deployment) == boot.Bad {
		t.Fatalf("%+v", result)
	}
	note(ready[0], &state.Test{Key: key, Time: h.now}, nil)
	if again(Request{}); len(h.numbers(t, "plain")) != 1 || h.doc(t).Images["plain"].Failure != nil {
		t.Errorf("%+v", h.doc(t).Images["plain"])
	}

	// Without a boot test nothing waits.
	w = h.wants(t, "2", strings.Replace(twoImages, "[machine.laptop]\n", "[machine.laptop]\nkernel_args = [\"x\"]\n", 1))
	if result = again(Request{}); !result.Changed || result.Plan.Held() {
		t.Errorf("%+v", result)
	}
}
