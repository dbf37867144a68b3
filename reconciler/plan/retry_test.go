package plan_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
)

// Pauses double up to a quarter of an hour, and machines have their own.
func TestPause(t *testing.T) {
	for n, want := range []time.Duration{1, 1, 2, 4, 8, 15, 15, 15} {
		want *= time.Minute
		seen := map[time.Duration]bool{}
		for machine := range 100 {
			whose := fmt.Sprint("machine-", machine)
			got := plan.Pause(n, whose)
			if got > want || got < want*3/4 || got != plan.Pause(n, whose) {
				t.Errorf("after %d tries of %s: %s", n, whose, got)
			}
			seen[got] = true
		}
		if len(seen) < 10 {
			t.Errorf("after %d tries a hundred machines try again at %d times", n, len(seen))
		}
	}
	if plan.Pause(1<<20, "") > 15*time.Minute {
		t.Error("a million tries in vain wait longer")
	}
}

// What fails is tried ever more rarely, but from something else at once.
func TestTries(t *testing.T) {
	var tries plan.Tries
	if tries.Rest(noon) {
		t.Error("what never failed rests")
	}
	now := noon
	for n := 1; n <= 6; n++ {
		tries = tries.After("k", "laptop", now)
		if tries.Attempts != n || tries.Next.Sub(now) != plan.Pause(n, "laptop") || !tries.Rest(now) || tries.Rest(tries.Next) {
			t.Errorf("after %d: %+v", n, tries)
		}
		now = tries.Next
	}
	if far := now.AddDate(-1, 0, 0); tries.Rest(far) {
		t.Error("what failed when the clock was wrong by a year rests for a year")
	}
	if other := tries.After("other", "laptop", now); other.Attempts != 1 || other.Key != "other" {
		t.Errorf("from something else: %+v", other)
	}
}

func TestDue(t *testing.T) {
	at := func(text string) time.Time {
		out, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		schedule  string
		last, now time.Time
		due       bool
	}{
		"no schedule":               {"", at("2026-01-01T00:00:00Z"), noon, false},
		"come round":                {"0 3 * * *", at("2026-05-01T04:00:00Z"), at("2026-05-02T03:00:00Z"), true},
		"not yet":                   {"0 3 * * *", at("2026-05-01T04:00:00Z"), at("2026-05-02T02:59:59Z"), false},
		"what is no schedule":       {"every day", at("2026-05-01T04:00:00Z"), at("2026-05-09T12:00:00Z"), false},
		"in the machine's own zone": {"0 3 * * *", at("2026-05-01T02:00:00Z"), at("2026-05-02T01:00:00Z").In(berlin), true},
		"in one of its own":         {"CRON_TZ=Asia/Kolkata 30 6 * * *", at("2026-05-01T02:00:00Z"), at("2026-05-02T01:00:00Z").In(berlin), true},
	} {
		if got := plan.Due(c.schedule, c.last, c.now); got != c.due {
			t.Errorf("%s: due is %t", what, got)
		}
	}
}

func TestProtected(t *testing.T) {
	for n := range 16 {
		imported, booted, chosen, pinned := n&1 != 0, n&2 != 0, n&4 != 0, n&8 != 0
		if got := plan.Protected(imported, booted, chosen, pinned); got != (n != 0) {
			t.Errorf("imported %t, booted %t, chosen %t, pinned %t: %t", imported, booted, chosen, pinned, got)
		}
	}
}

func TestRoom(t *testing.T) {
	s := plan.Staging{Layers: []plan.Layer{{Bytes: 800}, {Tar: 1000}, {}}}
	const around = 52 << 20 // a kernel with its initramfs, hooks, manifests
	if got := s.Room(); got != 900+500+around {
		t.Errorf("%d", got)
	}
	joined := plan.Staging{Layers: []plan.Layer{{Bytes: 80, Whole: 800, Beside: 300}, {Beside: 1000}, {Bytes: 80, Whole: 800, Beside: 500}}}
	if got := joined.Room(); got != 2*900+1000+500+around {
		t.Errorf("put together: %d", got)
	}
	p := plan.Plan{Stagings: []plan.Staging{s, {}, {Ready: "it is there"}}}
	if got, want := *p.NewSpace(100, 7), (plan.Space{Needed: 1400 + 56<<20, Free: 100, Freed: 7, Left: 107 - 1400 - 56<<20}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// What the machine executes is the plan's list without what others do.
func TestMachineActions(t *testing.T) {
	p := plan.Plan{
		From: "r1", To: "r2", Menu: "entries change", Link: true, Garbage: 5,
		Builds: []plan.Build{{Image: "a"}}, Pushes: []plan.Push{{Image: "a"}},
		Stagings: []plan.Staging{{Image: "a", Layers: []plan.Layer{{DiffID: "l"}}}, {Image: "b", Layers: []plan.Layer{{DiffID: "l"}}}},
		Removals: []plan.Removal{{Image: "a", Generation: 1, Deployment: "d"}},
	}
	var kinds []plan.Kind
	for _, a := range p.MachineActions() {
		kinds = append(kinds, a.Kind)
	}
	want := []plan.Kind{plan.AddLayer, plan.AddDeployment, plan.AddDeployment, plan.RecordRevision, plan.WriteMenu, plan.LinkMenu, plan.RemoveDeployment, plan.CollectGarbage}
	if !slices.Equal(kinds, want) {
		t.Errorf("%q", kinds)
	}
	all := p.Actions()
	if len(all) != len(want)+2 || all[0].Kind != plan.BuildImage || all[len(all)-1].Kind != plan.PushImage {
		t.Errorf("%+v", all)
	}
	leading, rest := plan.Leading(p.MachineActions(), plan.AddLayer)
	if len(leading) != 1 || len(rest) != len(want)-1 {
		t.Errorf("%v, %v", leading, rest)
	}
	if none, all := plan.Leading(rest, plan.AddLayer); len(none) != 0 || len(all) != len(rest) {
		t.Errorf("%v, %v", none, all)
	}
}
