// Package schedule says when things recur by a machine's clock, and whether they
// are due: schedules as cron(8) writes them, and windows that open by one.
//
// Clocks are changed, machines sleep, and some do not know the time when they
// start. What a schedule promises all the same:
//
//   - A time of day that the clock leaps over, as 02:30 is in spring, is made up
//     for when the leap is over; one that comes twice, as 01:30 does in autumn,
//     is followed the first time. Where every hour is named, a repeated hour is
//     an hour like any other.
//   - What was missed while the machine slept or was off is made up for once,
//     however often it was missed.
//   - A clock that is set back has nothing followed twice; one that had been wrong
//     by more than a day does not keep a schedule waiting for that time to come.
//   - Before the clock is set (Doubt), nothing is due.
//
// Nothing here reads the clock, or a file but those that name time zones; they are
// linked in, for machines that have none.
package schedule

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	_ "time/tzdata" // a machine may have no time zones

	"github.com/robfig/cron/v3"
)

// A Schedule says when something recurs.
type Schedule struct {
	// fields are those of cron, nil for one that comes after each pause of every;
	// hourly says that they name each hour of a day.
	fields *cron.SpecSchedule
	hourly bool
	every  time.Duration
	zone   *time.Location
}

// shortest is how often anything may be asked for.
const shortest = time.Minute

// Parse reads cron's five fields, or @hourly, @daily, @weekly, @monthly, @yearly or
// "@every 6h". What names no time zone, by CRON_TZ=Europe/Berlin before it, is of
// local. A schedule that never comes is none.
func Parse(text string, local *time.Location) (Schedule, error) {
	zone, text, err := cutZone(text)
	if err != nil {
		return Schedule{}, err
	}
	if zone == nil {
		zone = local
	}
	if every, ok := strings.CutPrefix(text, "@every "); ok {
		d, err := time.ParseDuration(every)
		if err != nil || d < shortest {
			return Schedule{}, errors.New("is more often than every minute")
		}
		return Schedule{every: d, zone: zone}, nil
	}
	fields, err := parseFields(text)
	if err != nil {
		return Schedule{}, err
	}
	const hours = 1<<24 - 1
	s := Schedule{fields: fields, hourly: fields.Hour&hours == hours, zone: zone}
	if s.fields.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, errors.New("never comes")
	}
	return s, nil
}

// cutZone takes the time zone off a schedule, nil if it names none.
func cutZone(text string) (zone *time.Location, rest string, err error) {
	named, ok := strings.CutPrefix(text, "CRON_TZ=")
	if !ok {
		if named, ok = strings.CutPrefix(text, "TZ="); !ok {
			return nil, text, nil
		}
	}
	name, rest, _ := strings.Cut(named, " ")
	if rest = strings.TrimSpace(rest); rest == "" {
		return nil, "", errors.New("names a time zone and no times")
	}
	zone, err = Zone(name)
	return zone, rest, err
}

// Zone finds a time zone by its name in the IANA database.
func Zone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("names no time zone: %q", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("names an unknown time zone: %q", name)
	}
	return zone, nil
}

// forms is what crontab(5) knows of a field: lists of *, a number or name, or a
// range of two, each with a step.
var forms = sync.OnceValue(func() *regexp.Regexp {
	const word, step = `[0-9A-Za-z]+`, `(?:/[0-9]+)?`
	const item = `(?:[*?]|` + word + `(?:-` + word + `)?)` + step
	return regexp.MustCompile(`^` + item + `(?:,` + item + `)*$`)
})

// parseFields refuses what the parser accepts but should not: it passes over an
// empty element of a list, and what follows *-.
func parseFields(text string) (*cron.SpecSchedule, error) {
	for field := range strings.FieldsSeq(text) {
		if !strings.HasPrefix(text, "@") && !forms().MatchString(field) {
			return nil, fmt.Errorf("is not a schedule: %q is no list of numbers, ranges and steps", field)
		}
	}
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return nil, fmt.Errorf("is not a schedule: %w", err)
	}
	fields, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, errors.New("is not a schedule")
	}
	fields.Location = time.UTC // it is asked for times of day, wherever they are
	return fields, nil
}
