package schedule_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/schedule"
)

func window(t *testing.T, cron string, length time.Duration, zone string) schedule.Window {
	t.Helper()
	w, err := schedule.ParseWindow(cron, length, zone, time.UTC)
	if err != nil {
		t.Fatalf("%s: %v", cron, err)
	}
	return w
}

func TestParseWindowRefuses(t *testing.T) {
	for want, c := range map[string]struct {
		cron   string
		length time.Duration
		zone   string
	}{
		"never comes":                             {"0 0 31 2 *", time.Hour, ""},
		"opens at no time of day":                 {"@every 6h", time.Hour, ""},
		"is open for 1s":                          {"@daily", time.Second, ""},
		"is open for 169h0m0s":                    {"@daily", 169 * time.Hour, ""},
		`names an unknown time zone: "Mars"`:      {"@daily", time.Hour, "Mars"},
		"names a time zone, and so does its sche": {"CRON_TZ=UTC 0 3 * * *", time.Hour, "Asia/Kolkata"},
	} {
		if _, err := schedule.ParseWindow(c.cron, c.length, c.zone, time.UTC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestWindows(t *testing.T) {
	nightly := window(t, "0 2 * * *", 3*time.Hour, "Europe/Berlin")
	weekend := window(t, "0 0 * * sat", 48*time.Hour, "")
	always := window(t, "0 0 * * *", 24*time.Hour, "")
	for what, c := range map[string]struct {
		windows   schedule.Windows
		now       string
		open      bool
		until, at string
	}{
		"none":                       {nil, "2026-05-01T12:00:00Z", true, "", ""},
		"before it":                  {schedule.Windows{nightly}, "2026-05-01T01:59:59+02:00", false, "", "2026-05-01T02:00:00+02:00"},
		"its first moment":           {schedule.Windows{nightly}, "2026-05-01T02:00:00+02:00", true, "2026-05-01T05:00:00+02:00", "2026-05-02T02:00:00+02:00"},
		"its last":                   {schedule.Windows{nightly}, "2026-05-01T04:59:59+02:00", true, "2026-05-01T05:00:00+02:00", "2026-05-02T02:00:00+02:00"},
		"over":                       {schedule.Windows{nightly}, "2026-05-01T05:00:00+02:00", false, "", "2026-05-02T02:00:00+02:00"},
		"the clock leaps over it":    {schedule.Windows{nightly}, "2026-03-29T05:59:59+02:00", true, "2026-03-29T06:00:00+02:00", "2026-03-30T02:00:00+02:00"},
		"an hour of it comes twice":  {schedule.Windows{nightly}, "2026-10-25T03:59:59+01:00", true, "2026-10-25T04:00:00+01:00", "2026-10-26T02:00:00+01:00"},
		"over midnight":              {schedule.Windows{weekend}, "2026-05-03T23:59:59Z", true, "2026-05-04T00:00:00Z", "2026-05-09T00:00:00Z"},
		"of several the longest":     {schedule.Windows{nightly, weekend}, "2026-05-02T01:00:00Z", true, "2026-05-04T00:00:00Z", "2026-05-03T00:00:00Z"},
		"of several the first":       {schedule.Windows{weekend, nightly}, "2026-05-04T12:00:00Z", false, "", "2026-05-05T00:00:00Z"},
		"one that opens as it shuts": {schedule.Windows{always}, "2026-05-04T23:59:59Z", true, "2026-05-05T00:00:00Z", "2026-05-05T00:00:00Z"},
	} {
		at := func(text string) (out time.Time) {
			if text != "" {
				out, _ = time.Parse(time.RFC3339, text)
			}
			return out
		}
		until, open := c.windows.Open(at(c.now))
		if next := c.windows.Next(at(c.now)); open != c.open || !until.Equal(at(c.until)) || !next.Equal(at(c.at)) {
			t.Errorf("%s: open is %t until %s, next at %s", what, open, until, next)
		}
	}
}

func TestDoubt(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for what, c := range map[string]struct {
		clock schedule.Clock
		want  string
	}{
		"a clock":                        {schedule.Clock{Now: now, Newest: now.Add(-time.Hour)}, ""},
		"nothing is known":               {schedule.Clock{Now: now}, ""},
		"set back a little":              {schedule.Clock{Now: now, Newest: now.Add(2 * time.Hour)}, ""},
		"none at boot":                   {schedule.Clock{Now: time.Unix(40, 0), Newest: now}, "the clock is not set: it says 1970-01-01 00:00:40 UTC"},
		"none at all, however long":      {schedule.Clock{Now: time.Unix(40, 0), Up: 1000 * time.Hour}, "the clock is not set: it says 1970-01-01 00:00:40 UTC"},
		"one that starts where it ended": {schedule.Clock{Now: now, Newest: now.AddDate(0, 1, 0)}, "the clock is not set yet: it says 2026-06-01 12:00:00 UTC, and something was done at 2026-07-01 12:00:00 UTC; it is believed when the machine has been up for 10 minutes"},
		"set back for good":              {schedule.Clock{Now: now, Newest: now.AddDate(1, 0, 0), Up: 10 * time.Minute}, ""},
	} {
		if got := c.clock.Doubt(); got != c.want {
			t.Errorf("%s: %q", what, got)
		}
	}
}

// A thousand machines with the same window open theirs at many times, each always at
// its own, none early or late; all close as it was declared.
func TestSpread(t *testing.T) {
	for length, bound := range map[time.Duration]time.Duration{3 * time.Hour: 15 * time.Minute, 20 * time.Minute: 5 * time.Minute, time.Minute: 15 * time.Second} {
		declared := time.Date(2026, 5, 1, 2, 0, 0, 0, time.UTC)
		const slots = 5
		var counts [slots]int
		for n := range 1000 {
			name := fmt.Sprint("machine-", n)
			w := schedule.Windows{window(t, "0 2 * * *", length, "").Spread(name)}
			opens := w.Next(declared.Add(-time.Hour))
			late := opens.Sub(declared)
			if late < 0 || late > bound || !opens.Equal(schedule.Windows{window(t, "0 2 * * *", length, "").Spread(name)}.Next(declared.Add(-1))) {
				t.Fatalf("%s of %s: %s late", name, length, late)
			}
			counts[min(slots-1, int(late*slots/bound))]++
			if _, open := w.Open(opens.Add(-1)); open {
				t.Errorf("%s is open early", name)
			}
			if until, open := w.Open(opens); !open || !until.Equal(declared.Add(length)) {
				t.Errorf("%s is open until %s", name, until)
			}
			if _, open := w.Open(declared.Add(length)); open {
				t.Errorf("%s is open after its end", name)
			}
			if next := w.Next(opens); !next.Equal(opens.AddDate(0, 0, 1)) {
				t.Errorf("%s opens again at %s", name, next)
			}
		}
		for slot, n := range counts {
			if n < 120 || n > 280 {
				t.Errorf("of %s: %d of 1000 machines open in fifth %d", length, n, slot)
			}
		}
	}
}

// What is open already stays open though machines are spread.
func TestSpreadLeavesNoGap(t *testing.T) {
	for what, all := range map[string][]schedule.Window{
		"by itself":     {window(t, "0 0 * * *", 24*time.Hour, "")},
		"overlapping":   {window(t, "0 * * * *", 2*time.Hour, "")},
		"by each other": {window(t, "0 0 * * *", 12*time.Hour, ""), window(t, "0 12 * * *", 12*time.Hour, "")},
	} {
		var w schedule.Windows
		for _, one := range all {
			w = append(w, one.Spread("laptop"))
		}
		for at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC); at.Day() < 4; at = at.Add(time.Minute) {
			if until, open := w.Open(at); !open || !until.After(at) {
				t.Fatalf("%s: not at %s", what, at)
			}
		}
	}
}
