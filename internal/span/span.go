// Package span reads how long something lasts, as people write it: Go's durations,
// with days and weeks.
package span

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"sync"
	"time"
)

var long = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(\d{1,9})(d|w)`) })

// Parse reads a positive span such as 90m, 12h, 3d or 1w2d12h. A day has 24
// hours.
func Parse(s string) (time.Duration, error) {
	var sum time.Duration
	rest := s
	for m := long().FindStringSubmatch(rest); m != nil; m = long().FindStringSubmatch(rest) {
		n, err := strconv.Atoi(m[1])
		unit := 24 * time.Hour
		if m[2] == "w" {
			unit *= 7
		}
		if err != nil || n > int((math.MaxInt64-int64(sum))/int64(unit)) {
			return 0, fmt.Errorf("%.40q is longer than anything lasts", s)
		}
		sum += time.Duration(n) * unit
		rest = rest[len(m[0]):]
	}
	if rest == "" && sum > 0 {
		return sum, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || sum+d <= 0 {
		return 0, fmt.Errorf("%.40q is not a length of time; want one such as 90m, 12h, 3d or 1w", s)
	}
	return sum + d, nil
}
