package reconciler

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
)

const scheduled = `
[image.router]
pull   = "r.lan/router:1"
update = "@hourly"
[image.phone]
pull   = "r.lan/phone:1"
update = "@hourly"
[image.new]
pull   = "r.lan/new:1"
update = "@hourly"
[image.desktop.build]
from     = "r.lan/base:1"
schedule = "CRON_TZ=UTC 0 3 * * *"
[machine.laptop]
images         = ["router", "phone", "new", "desktop"]
windows        = [{ cron = "0 2 * * *", duration = "1h", time_zone = "UTC" }]
reboot_windows = [{ cron = "0 5 * * *", duration = "1h", time_zone = "UTC" }]
`

// What comes by itself is what the documents say, before a config repo is read and
// after.
func TestComing(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 30, 0, 0, time.UTC)
	r, err := New(Config{Machine: "laptop", Stage: filepath.Join(t.TempDir(), "stage"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	doc := &state.Machine{Version: state.Version, Machine: "laptop", Images: map[string]*state.Image{
		"router": {Origin: state.Origin{Checked: now.Add(-time.Minute)}},
		"phone":  {Origin: state.Origin{Checked: now.Add(-2 * time.Hour)}},
	}}
	doc.Images["phone"].Fail(errors.New("no network"), "k", "laptop/phone", now)
	doc.Waiting = &state.Waiting{Revision: "r2", Holds: []plan.Hold{{Why: "for a window", Until: time.Date(2026, 5, 2, 2, 0, 0, 0, time.UTC)}}}
	made := &state.Workshop{Version: state.Version}
	made.SetBuild("desktop", &state.Build{Key: recipe.Key{}, Built: now.Add(-12 * time.Hour)})
	if err := errors.Join(doc.Save(r.Machine.Stage.Dir(), nil), made.Save(r.Machine.Stage.Dir())); err != nil {
		t.Fatal(err)
	}
	fleet, err := spec.Load(t.Context(), fstest.MapFS{"gitboot.toml": {Data: []byte(scheduled)}})
	if err != nil {
		t.Fatal(err)
	}
	wants, err := fleet.Resolve(t.Context(), "laptop")
	if err != nil {
		t.Fatal(err)
	}
	lines := func(w *wanted.Wanted) (out []string) {
		coming, err := Coming(r, w)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range coming {
			at := c.Time.Format("02 15:04")
			if c.What == plan.ComingRetry {
				at = "soon"
			}
			out = append(out, fmt.Sprint(at, " ", c.What, " ", c.Image))
		}
		return out
	}
	// Of the window at 5, this machine has its own time.
	want := []string{"01 03:00 build desktop", "soon retry phone", "01 13:00 update router", "02 02:00 publish ", "02 05:07 reboot-window "}
	if got := lines(&wanted.Wanted{Wants: wants}); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := lines(nil); !slices.Equal(got, []string{"02 02:00 publish "}) {
		t.Errorf("before it is read: %q", got)
	}
	// A clock that has not been set yet: it says less than what was done.
	now, r.Machine.Find.Uptime = now.AddDate(-1, 0, 0).AddDate(0, 9, 0), func() time.Duration { return time.Minute }
	if got := lines(&wanted.Wanted{Wants: wants}); !slices.Equal(got, []string{"02 02:00 publish "}) {
		t.Errorf("without a clock: %q", got)
	}
}
