package reconciler

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
)

// listening is a teller whose events that people are told of are noted.
func listening() (t *teller, told func() string) {
	var all []string
	t = newTeller(func(e event.Event) {
		if e.Told() {
			all = append(all, strings.TrimSpace(string(e.Kind)+" "+e.Image))
		}
	}, "laptop", time.Now)
	return t, func() string {
		defer func() { all = nil }()
		return strings.Join(all, ", ")
	}
}

// What goes on failing is told once, and that it ends, be it that nobody wants it.
func TestFailuresAreToldOnce(t *testing.T) {
	teller, told := listening()
	r := source.Revision{Hash: "r1"}
	all := func(string) bool { return true }
	ended := func(about func(string) bool, failed map[string]error, want string) {
		t.Helper()
		teller.ended(event.Machine, "test", r, about, failed, nil)
		if got := told(); got != want {
			t.Errorf("told is %q, not %q", got, want)
		}
	}
	broken := map[string]error{"desktop": errors.New("no such tag")}
	ended(all, broken, "failed desktop")
	ended(all, broken, "")
	ended(all, map[string]error{"desktop": errors.New("no route")}, "failed desktop")
	ended(all, nil, "recovered desktop")
	ended(all, broken, "failed desktop")
	ended(func(image string) bool { return image != "desktop" }, nil, "recovered desktop")
	ended(func(image string) bool { return image != "desktop" }, nil, "")
}

// That the branch for one boot fails is told once for each reason, also across a
// restart, and that it does not any more.
func TestTheBranchForOneBootIsTold(t *testing.T) {
	teller, told := listening()
	for i, c := range []struct{ why, want string }{{"", ""}, {"rebase it", "failed"}, {"rebase it", ""}, {"no route", "failed"}, {"", "recovered"}, {"", ""}} {
		var failure *state.Failure
		if c.why != "" {
			failure = &state.Failure{Message: c.why, Revision: "r1"}
		}
		if teller.tested(failure); told() != c.want {
			t.Errorf("%d: not %q", i, c.want)
		}
	}
	dir := t.TempDir()
	if err := (&state.Machine{Version: state.Version, TestingFailure: &state.Failure{Message: "rebase it"}}).Save(dir, nil); err != nil {
		t.Fatal(err)
	}
	again, told := listening()
	again.remember(dir)
	if again.tested(&state.Failure{Message: "rebase it"}); told() != "" {
		t.Error("it is told again after a restart")
	}
	e := event.Event{Kind: event.Failed, Part: event.Testing, Machine: "laptop", Error: "rebase it"}
	if got := e.Message(); got != "the branch testing/laptop fails: rebase it" {
		t.Error(got)
	}
}

// That the config repo is refused is told once for each revision and reason.
func TestRefusalsAreToldOnce(t *testing.T) {
	teller, told := listening()
	for _, c := range []struct{ revision, err, want string }{
		{"", "no route", "refused"}, {"", "no route", ""}, {"r1", "unsigned", "refused"}, {"r1", "unsigned", ""},
		{"r1", "unknown key", "refused"}, {"r2", "unknown key", "refused"}, {"r3", "", "looked, recovered"}, {"r3", "", ""},
		{"r2", "unknown key", "refused"},
	} {
		var err error
		if c.err != "" {
			err = errors.New(c.err)
		}
		teller.looks("test", &wanted.Wanted{Revision: source.Revision{Hash: c.revision}}, err)
		if got := told(); got != c.want {
			t.Errorf("%+v: told is %q", c, got)
		}
	}
}

// What is not as it was written is told once, also if the run that would put it right
// fails again and again.
func TestDriftIsToldOnce(t *testing.T) {
	teller, told := listening()
	menu, object := plan.Drift{Path: "boot/gitboot.cfg", How: "is missing"}, plan.Drift{Path: "objects/sha256/1", How: "is missing", Image: "desktop"}
	full := errors.New("disk full")
	for i, c := range []struct {
		news []plan.Drift
		err  error
		want string
	}{
		{nil, nil, ""},
		{[]plan.Drift{menu}, full, "drifted"}, {[]plan.Drift{menu, object}, full, "drifted desktop"}, {[]plan.Drift{menu, object}, nil, ""},
		{nil, nil, ""}, {[]plan.Drift{menu}, nil, "drifted"}, {[]plan.Drift{menu}, nil, "drifted"},
	} {
		teller.drift(source.Revision{}, c.news, c.err)
		if got := told(); got != c.want {
			t.Errorf("%d: %q, want %q", i, got, c.want)
		}
	}
}
