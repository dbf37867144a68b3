package plan

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/gitboot/gitboot/schedule"
)

// Tries is how often something was tried in vain, and when it is tried again by
// itself. What failed fails again, as a rule, until something changes: Key tells
// from what it was tried. Whoever asks for a try gets it.
type Tries struct {
	Attempts int       `json:"attempts,omitempty"`
	Next     time.Time `json:"next,omitzero"`
	Key      string    `json:"key,omitempty"`
}

// After are the tries with one more in vain, of what key stands for. Whose they are
// spreads them: machines that failed together do not try again together.
func (t Tries) After(key, whose string, now time.Time) Tries {
	next := Tries{Attempts: 1, Key: key}
	if t.Key == key {
		next.Attempts = t.Attempts + 1
	}
	next.Next = now.Add(Pause(next.Attempts, whose))
	return next
}

// Rest reports whether what failed is left alone for now. A time that is farther
// than any pause was noted by a clock that was wrong.
func (t Tries) Rest(now time.Time) bool {
	return t.Attempts > 0 && now.Before(t.Next) && t.Next.Sub(now) <= longestPause
}

// Pauses double up to the longest.
const (
	firstPause   = time.Minute
	longestPause = 15 * time.Minute
)

// Pause is how long what failed is left alone, by how often it has been tried and
// by whom: up to a quarter less than it might be, always the same.
func Pause(attempts int, whose string) time.Duration {
	pause := longestPause
	if doublings := max(attempts, 1) - 1; doublings < 4 {
		pause = firstPause << doublings
	}
	hash := fnv.New32a()
	fmt.Fprint(hash, whose, " ", attempts) // never fails
	return (pause - pause/4*time.Duration(hash.Sum32()%1000)/1000).Round(time.Second)
}

// Due reports whether a schedule has come round since it was last followed. An
// empty one never does. One that names no time zone is of that of now.
func Due(text string, last, now time.Time) bool {
	if text == "" {
		return false
	}
	s, err := schedule.Parse(text, now.Location())
	return err == nil && s.Due(last, now) // spec has refused what is no schedule
}
