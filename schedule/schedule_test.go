package schedule_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/gitboot/gitboot/schedule"
)

func parse(t *testing.T, text string, local *time.Location) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(text, local)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := schedule.Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "is not a schedule",
		"hourly":                    "is not a schedule",
		"0 3 * *":                   "is not a schedule",
		"1,,2 * * * *":              `"1,,2"`,
		"*-5 * * * *":               `"*-5"`,
		"*/0 * * * *":               "step",
		"0 0 * * 7":                 "is not a schedule",
		"@reboot":                   "is not a schedule",
		"@every":                    "is not a schedule",
		"@every -1h":                "is more often than every minute",
		"@every 59s":                "is more often than every minute",
		"@every often":              "is more often than every minute",
		"0 0 31 2 *":                "never comes",
		"0 0 30 feb *":              "never comes",
		"0 0 31 4,6,9,11 *":         "never comes",
		"TZ=UTC":                    "names a time zone and no times",
		"CRON_TZ=":                  "names a time zone and no times",
		"CRON_TZ=UTC  ":             "names a time zone and no times",
		"CRON_TZ= 0 3 * * *":        `names no time zone: ""`,
		"CRON_TZ=Local 0 3 * * *":   `names no time zone: "Local"`,
		"CRON_TZ=Mars/Base 0 3 * *": `names an unknown time zone: "Mars/Base"`,
		"CRON_TZ=../etc 0 3 * * *":  `names an unknown time zone: "../etc"`,
		"0 3 * * * CRON_TZ=UTC":     "is no list",
		"CRON_TZ=UTC TZ=UTC @daily": "is no list",
	} {
		if _, err := schedule.Parse(text, time.UTC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Next is asked where clocks are changed.
func TestNext(t *testing.T) {
	for what, c := range map[string]struct{ text, zone, after, want string }{
		"a day like any other":                   {"0 3 * * *", "Europe/Berlin", "2026-05-01T02:59:59+02:00", "2026-05-01T03:00:00+02:00"},
		"just followed":                          {"0 3 * * *", "Europe/Berlin", "2026-05-01T03:00:00+02:00", "2026-05-02T03:00:00+02:00"},
		"a part of a second after":               {"0 3 * * *", "Europe/Berlin", "2026-05-01T03:00:00.4+02:00", "2026-05-02T03:00:00+02:00"},
		"leapt over in spring":                   {"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00+01:00", "2026-03-29T03:00:00+02:00"},
		"and not again":                          {"30 2 * * *", "Europe/Berlin", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"},
		"several leapt over come once":           {"*/10 2,3 * * *", "Europe/Berlin", "2026-03-29T03:00:00+02:00", "2026-03-29T03:10:00+02:00"},
		"the first of what is repeated":          {"30 2 * * *", "Europe/Berlin", "2026-10-25T00:00:00+02:00", "2026-10-25T02:30:00+02:00"},
		"not the second":                         {"30 2 * * *", "Europe/Berlin", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"},
		"asked while it is repeated":             {"30 2 * * *", "Europe/Berlin", "2026-10-25T02:15:00+01:00", "2026-10-26T02:30:00+01:00"},
		"at the end of what is repeated":         {"0 3 * * *", "Europe/Berlin", "2026-10-25T02:30:00+01:00", "2026-10-25T03:00:00+01:00"},
		"each hour, in the repeated one, too":    {"30 * * * *", "Europe/Berlin", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"},
		"its first moment is an hour's":          {"0 * * * *", "Europe/Berlin", "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00"},
		"each hour that the clock leaps over":    {"30 * * * *", "Europe/Berlin", "2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00"},
		"01:30 in New York comes once":           {"30 1 * * *", "America/New_York", "2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"},
		"half an hour's leap":                    {"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30", "2026-10-04T02:30:00+11:00"},
		"half an hour repeated":                  {"45 1 * * *", "Australia/Lord_Howe", "2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"},
		"a day that was left out":                {"0 3 30 * *", "Pacific/Apia", "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00"},
		"midnight that was left out":             {"0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00-03:00", "2018-11-04T01:00:00-02:00"},
		"a leap day":                             {"0 0 29 2 *", "Asia/Kolkata", "2026-05-01T00:00:00+05:30", "2028-02-29T00:00:00+05:30"},
		"a zone of its own":                      {"CRON_TZ=America/New_York 0 3 * * *", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-01-01T03:00:00-05:00"},
		"a zone in its other words":              {"TZ=Asia/Kolkata @daily", "UTC", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00+05:30"},
		"every so often, wherever":               {"@every 6h", "Europe/Berlin", "2026-03-28T23:00:00+01:00", "2026-03-29T06:00:00+02:00"},
		"a day of the month, or one of the week": {"0 0 13 * fri", "UTC", "2026-02-08T00:00:00Z", "2026-02-13T00:00:00Z"},
	} {
		at, _ := time.Parse(time.RFC3339, c.after)
		want, err := time.Parse(time.RFC3339, c.want)
		if err != nil {
			t.Fatal(err)
		}
		if got := parse(t, c.text, zone(t, c.zone)).Next(at); !got.Equal(want) {
			t.Errorf("%s: %s", what, got)
		}
	}
}

func TestDue(t *testing.T) {
	const nightly = "0 3 * * *"
	for what, c := range map[string]struct {
		text, last, now string
		due             bool
	}{
		"never followed":                        {nightly, "0001-01-01T00:00:00Z", "2026-05-01T12:00:00Z", true},
		"before it":                             {nightly, "2026-05-01T03:00:00Z", "2026-05-02T02:59:59Z", false},
		"at it":                                 {nightly, "2026-05-01T03:00:00Z", "2026-05-02T03:00:00Z", true},
		"just followed":                         {nightly, "2026-05-02T03:00:00Z", "2026-05-02T03:00:01Z", false},
		"off for a week":                        {nightly, "2026-05-02T03:00:00Z", "2026-05-09T12:00:00Z", true},
		"and made up for":                       {nightly, "2026-05-09T12:00:00Z", "2026-05-09T12:00:30Z", false},
		"the clock was set back an hour":        {nightly, "2026-05-02T03:00:05Z", "2026-05-02T02:00:05Z", false},
		"which then comes to that time again":   {nightly, "2026-05-02T03:00:05Z", "2026-05-02T03:00:05Z", false},
		"the clock was set forward":             {nightly, "2026-05-02T03:00:00Z", "2026-05-03T09:00:00Z", true},
		"the clock was wrong by a year, and is": {nightly, "2027-05-02T03:00:00Z", "2026-05-02T12:00:00Z", true},
		"and what was followed since counts":    {nightly, "2026-05-02T12:00:00Z", "2026-05-02T12:01:00Z", false},
		"slept over several":                    {"*/5 * * * *", "2026-05-02T01:00:00Z", "2026-05-02T09:00:00Z", true},
		"every six hours, slept over":           {"@every 6h", "2026-05-02T01:00:00Z", "2026-05-02T09:00:00Z", true},
		"every six hours, not yet":              {"@every 6h", "2026-05-02T01:00:00Z", "2026-05-02T06:59:59Z", false},
		"a leap day slept over":                 {"0 0 29 2 *", "2027-12-31T00:00:00Z", "2028-03-01T00:00:00Z", true},
		"a leap day to come":                    {"0 0 29 2 *", "2026-12-31T00:00:00Z", "2027-03-01T00:00:00Z", false},
	} {
		last, _ := time.Parse(time.RFC3339, c.last)
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		s := parse(t, c.text, time.UTC)
		if got := s.Due(last, now); got != c.due {
			t.Errorf("%s: due is %t", what, got)
		}
		if got := s.Following(last, now); !got.After(now) != c.due {
			t.Errorf("%s: follows at %s", what, got)
		}
	}
}

// texts are schedules of all kinds, and zones those in which clocks behave oddly.
var (
	texts = []string{"30 2 * * *", "30 1 * * *", "0 0 * * *", "0 3 * * 1-5", "15 2 29 2 *", "*/15 * * * *", "5 * * * *",
		"*/20 1-3 * * *", "0 */2 * * *", "59 23 28-31 * *", "0 0 13 * fri", "0 12 30 12 *", "@weekly", "@monthly"}
	zones = []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kolkata", "Africa/Casablanca", "America/Sao_Paulo", "Europe/Lisbon"}
)

// shown is what a clock on a wall in a zone shows each minute, in seconds, as if
// there were no time zones.
func shown(z *time.Location, from, to time.Time) (out []int64) {
	for at := from.Unix(); at < to.Unix(); at += 60 {
		_, offset := time.Unix(at, 0).In(z).Zone()
		out = append(out, at+int64(offset))
	}
	return out
}

// clock is somebody who looks at that clock: what follows a schedule when the
// clock shows it, and makes up at once for what it leapt over.
func clock(fields *cron.SpecSchedule, shown []int64, from time.Time) (out []time.Time) {
	const hours = 1<<24 - 1
	hourly := fields.Hour&hours == hours
	next := func(after int64) int64 {
		if at := fields.Next(time.Unix(after, 0).UTC()); !at.IsZero() {
			return at.Unix()
		}
		return math.MaxInt64
	}
	latest, coming := shown[0]-60, next(shown[0]-60)
	for i, now := range shown {
		again := now <= latest
		if again && (!hourly || next(now-1) != now) { // an hour is one like any other
			continue
		}
		if !again {
			latest = now
			if coming > now {
				continue
			}
			coming = next(now)
		}
		out = append(out, from.Add(time.Duration(i)*time.Minute))
	}
	return out
}

// Over years, in many zones, schedules come when a clock on a wall says so: each
// time of day once, whatever is done to the clock.
func TestAsAClockOnAWall(t *testing.T) {
	spans := map[string][]string{"2026": zones, "2028": {"Europe/Berlin"}, "2011": {"Pacific/Apia"}, "2018": {"America/Sao_Paulo", "Asia/Pyongyang"}}
	for year, names := range spans {
		for _, name := range names {
			z := zone(t, name)
			from, err := time.ParseInLocation("2006", year, z)
			if err != nil {
				t.Fatal(err)
			}
			to := from.AddDate(1, 0, 0)
			wall := shown(z, from, to)
			for _, text := range texts {
				parsed, err := cron.ParseStandard(text)
				if err != nil {
					t.Fatal(err)
				}
				fields := parsed.(*cron.SpecSchedule)
				fields.Location = time.UTC
				want := clock(fields, wall, from)
				var got []time.Time
				s := parse(t, text, z)
				for at := s.Next(from.Add(-time.Second)); !at.IsZero() && at.Before(to); at = s.Next(at) {
					got = append(got, at)
				}
				if !slices.EqualFunc(got, want, time.Time.Equal) {
					t.Errorf("%s in %s, %s: %d times, not %d; %s", text, name, year, len(got), len(want), firstDifference(got, want))
				}
			}
		}
	}
}

func firstDifference(got, want []time.Time) string {
	for i := range min(len(got), len(want)) {
		if !got[i].Equal(want[i]) {
			return got[i].String() + " and not " + want[i].String()
		}
	}
	return "one has more"
}

// A year of a machine that sleeps, is off for days, is looked at late and has its
// clock put right by small steps: whatever came while it did not look is followed
// once, as soon as it does, and nothing else is.
func TestAYearOfALaptop(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	z := zone(t, "Europe/Berlin")
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, z)
	for _, text := range append(texts, "@every 7h") {
		s := parse(t, text, z)
		last, before := start, start
		for now := start; now.Before(start.AddDate(1, 0, 0)); now = now.Add(pause(random)) {
			came, due := s.Next(last), s.Due(last, now)
			if want := !came.IsZero() && !came.After(now); due != want {
				t.Fatalf("%s: due is %t at %s, last followed at %s", text, due, now, last)
			}
			if due && !came.After(before) {
				t.Fatalf("%s: what came at %s was not due at %s", text, came, before)
			}
			if before = now; due {
				last = now
			}
		}
	}
}

// pause is until somebody looks again.
func pause(random *rand.Rand) time.Duration {
	switch n := random.IntN(1000); {
	case n == 0:
		return 7 * 24 * time.Hour // off
	case n < 20:
		return time.Duration(random.IntN(40)) * time.Hour // asleep
	}
	return time.Duration(30+random.IntN(7200)) * time.Second
}
