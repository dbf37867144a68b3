package deployment

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Crash is what a kernel kept of its log when it ended.
type Crash struct {
	// At is when that was, by the machine's clock.
	At   time.Time
	Text string
}

// crashSlack is how much a clock may be put right in a boot.
const crashSlack = 10 * time.Minute

// epoch is a time before which no machine that runs this was: its clock is not set.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// Of finds the boot whose kernel it was among records, the newest first: the newest but
// the one that runs, or, where times are known, the one that had begun as long before as
// the log says. It reports false if there is no record of that boot.
func (c Crash) Of(boots []Boot, running string) (Boot, bool) {
	began := c.At.Add(-c.up())
	for _, b := range boots {
		if b.ID == running {
			continue
		}
		if c.At.Before(epoch) || b.Started.Before(epoch) || b.Started.Sub(began).Abs() <= crashSlack {
			return b, true
		}
	}
	return Boot{Started: began.UTC().Truncate(time.Second)}, false
}

// up is how long the kernel had run, by the last of its messages.
func (c Crash) up() time.Duration {
	for _, line := range slices.Backward(strings.Split(c.Text, "\n")) {
		stamp, _, ok := strings.Cut(strings.TrimPrefix(line, "["), "]")
		if !ok || !strings.HasPrefix(line, "[") {
			continue
		}
		if seconds, err := strconv.ParseFloat(strings.TrimSpace(stamp), 64); err == nil && seconds >= 0 && seconds < 1e9 {
			return time.Duration(seconds * float64(time.Second))
		}
	}
	return 0
}

// endings begin what a kernel says of why it ends, the plainest first.
var endings = []string{"Kernel panic - not syncing: ", "BUG: ", "Oops: ", "watchdog: ", "general protection fault"}

// Ending is the line of a kernel's last messages that says why it ended, "" if none does.
func Ending(crash string) string {
	for _, how := range endings {
		for line := range strings.Lines(crash) {
			_, text, _ := strings.Cut(line, "] ")
			if text = strings.TrimSpace(text); strings.HasPrefix(text, how) {
				return head(text, maxShort)
			}
		}
	}
	return ""
}
