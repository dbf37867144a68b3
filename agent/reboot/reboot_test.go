package reboot_test

import (
	"testing"
	"time"

	"github.com/gitboot/gitboot/agent/reboot"
	"github.com/gitboot/gitboot/schedule"
)

func TestDecide(t *testing.T) {
	night, err := schedule.ParseWindow("0 4 * * *", time.Hour, "UTC", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	windows := schedule.Windows{night}
	open, noon := time.Date(2026, 5, 1, 4, 30, 0, 0, time.UTC), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	tomorrow := time.Date(2026, 5, 2, 4, 0, 0, 0, time.UTC)
	for what, c := range map[string]struct {
		change func(*reboot.Situation)
		now    bool
		why    string
		at     time.Time
	}{
		"in a window":           {func(*reboot.Situation) {}, true, "desktop 5 is new", time.Time{}},
		"outside one":           {func(s *reboot.Situation) { s.Now = noon }, false, "it waits for a window", tomorrow},
		"as it closes":          {func(s *reboot.Situation) { s.Now = open.Add(30 * time.Minute) }, false, "it waits for a window", tomorrow},
		"by no clock":           {func(s *reboot.Situation) { s.Doubt = "it is 1970" }, false, "it has its windows, and the clock is not set", time.Time{}},
		"in no window":          {func(s *reboot.Situation) { s.Windows = nil }, false, "no window is declared for it; declare reboot_windows for the machine in the config repo", time.Time{}},
		"not needed":            {func(s *reboot.Situation) { s.Needed = "" }, false, "what runs is what the next boot is", time.Time{}},
		"nothing is said":       {func(s *reboot.Situation) { s.Policy = "" }, false, "people restart this machine", time.Time{}},
		"never":                 {func(s *reboot.Situation) { s.Policy = reboot.Never }, false, "people restart this machine", time.Time{}},
		"always, at noon":       {func(s *reboot.Situation) { s.Policy, s.Now = reboot.Always, noon }, true, "desktop 5 is new", time.Time{}},
		"always, by no clock":   {func(s *reboot.Situation) { s.Policy, s.Doubt = reboot.Always, "it is 1970" }, true, "desktop 5 is new", time.Time{}},
		"it was tried before":   {func(s *reboot.Situation) { s.Tried = true }, false, "it was restarted for that before, and booted something else; look why, and restart it yourself", time.Time{}},
		"it has just started":   {func(s *reboot.Situation) { s.Up = 5 * time.Minute }, false, "the machine has been up for less than 15m0s", open.Add(10 * time.Minute)},
		"it may at once":        {func(s *reboot.Situation) { s.Up, s.Uptime = 5*time.Second, 5*time.Second }, true, "desktop 5 is new", time.Time{}},
		"what runs is on trial": {func(s *reboot.Situation) { s.OnTrial, s.Policy = true, reboot.Always }, false, "what runs is on trial, and its boot is not judged yet", time.Time{}},
		"something goes on":     {func(s *reboot.Situation) { s.Busy, s.Policy = []string{"a build", "a run"}, reboot.Always }, false, "it would end a build, a run", time.Time{}},
		"somebody is logged in": {func(s *reboot.Situation) { s.Present, s.Patience = []string{"the session of ada"}, time.Hour }, false, "it would disturb the session of ada", open.Add(time.Hour)},
		"somebody stays": {func(s *reboot.Situation) {
			s.Present, s.Patience, s.Held = []string{"the session of ada"}, time.Hour, 50*time.Minute
		}, false, "it would disturb the session of ada", open.Add(10 * time.Minute)},
		"somebody stays on": {func(s *reboot.Situation) {
			s.Present, s.Patience, s.Held = []string{"the session of ada"}, time.Hour, time.Hour
		}, true, "desktop 5 is new", time.Time{}},
		"a build has no limit": {func(s *reboot.Situation) { s.Busy, s.Patience, s.Held = []string{"a build"}, time.Hour, 2*time.Hour }, false, "it would end a build", time.Time{}},
	} {
		s := reboot.Situation{Policy: reboot.Window, Now: open, Windows: windows, Needed: "desktop 5 is new", Up: time.Hour, Uptime: reboot.DefaultUptime}
		c.change(&s)
		if got := reboot.Decide(s); got.Now != c.now || got.Why != c.why || !got.At.Equal(c.at) {
			t.Errorf("%s: %+v", what, got)
		}
	}
}
