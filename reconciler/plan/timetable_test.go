package plan_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
)

func TestNextDue(t *testing.T) {
	table := plan.Timetable{
		Recurring: []plan.Recurring{
			{What: plan.ComingUpdate, Image: "router", Schedule: "@hourly", Last: noon.Add(-time.Minute)},
			{What: plan.ComingBuild, Image: "desktop", Schedule: "0 3 * * *", Last: noon.AddDate(0, 0, -7).Add(-10 * time.Hour)},
			{What: plan.ComingBuild, Image: "base", Schedule: "CRON_TZ=Asia/Kolkata 0 18 * * *", Last: noon},
			{What: plan.ComingUpdate, Image: "none", Schedule: ""},
			{What: plan.ComingUpdate, Image: "phone", Schedule: "@hourly", Last: noon.AddDate(0, 0, -1)},
		},
		Failed: []plan.Resting{
			{Image: "phone", Tries: plan.Tries{Attempts: 2, Next: noon.Add(90 * time.Second)}},
			{Image: "old", Tries: plan.Tries{Attempts: 2, Next: noon.Add(-time.Second)}},
		},
		Holds:   []plan.Hold{{Why: "for a window", Until: noon.Add(2 * time.Minute)}, {Why: "for somebody"}},
		Reboots: windows(t, "0 4 * * *"),
	}
	lines := func(table plan.Timetable) (out []string) {
		for _, c := range table.NextDue(noon) {
			out = append(out, fmt.Sprint(c.Time.Format("02 15:04:05 "), c.What, " ", c.Image))
		}
		return out
	}
	want := []string{"24 03:00:00 build desktop", "01 12:00:00 update router", "01 12:01:30 retry phone", "01 12:02:00 publish ", "01 12:30:00 build base", "02 04:00:00 reboot-window "}
	if got := lines(table); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	table.Doubt = "it is 1970"
	if got := lines(table); !slices.Equal(got, []string{want[2], want[3]}) {
		t.Errorf("without a clock: %q", got)
	}
	table.Suspension = &plan.Suspension{Since: noon, Until: noon.Add(time.Hour)}
	if got := lines(table); !slices.Equal(got, []string{"01 13:00:00 resume "}) {
		t.Errorf("suspended: %q", got)
	}
}
