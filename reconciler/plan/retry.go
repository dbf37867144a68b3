package plan

import (
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

// After are the tries with one more in vain, of what key stands for.
func (t Tries) After(key string, now time.Time) Tries {
	next := Tries{Attempts: 1, Key: key}
	if t.Key == key {
		next.Attempts = t.Attempts + 1
	}
	next.Next = now.Add(Pause(next.Attempts))
	return next
}

// Rest reports whether what failed is left alone for now.
func (t Tries) Rest(now time.Time) bool { return t.Attempts > 0 && now.Before(t.Next) }

// Pause is how long what failed is left alone, by how often it has been tried;
// the last one goes for all further tries.
func Pause(attempts int) time.Duration {
	pauses := []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
	return pauses[min(max(attempts, 1), len(pauses))-1]
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
