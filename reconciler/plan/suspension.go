package plan

import (
	"strings"
	"time"
)

// A Suspension says that nothing is to change on this machine by itself. The JSON
// fields are stable.
type Suspension struct {
	Since time.Time `json:"since"`
	// Until is when it ends by itself, zero if somebody has to end it.
	Until time.Time `json:"until,omitzero"`
	Why   string    `json:"why,omitempty"`
	// By is who wished it.
	By string `json:"by,omitempty"`
}

// Stands reports whether nothing may change now. A nil one never stands.
func (s *Suspension) Stands(now time.Time) bool {
	return s != nil && (s.Until.IsZero() || now.Before(s.Until))
}

// Refuse says, as a *SuspendedError, that nothing may change now.
func (s *Suspension) Refuse(now time.Time) error {
	if !s.Stands(now) {
		return nil
	}
	return &SuspendedError{*s}
}

// A SuspendedError says that nothing was changed because this machine is
// suspended. It is nobody's failure.
type SuspendedError struct{ Suspension }

func (e *SuspendedError) Error() string {
	return "this machine is suspended " + e.Words() + "; `gitboot resume` ends that, and `gitboot reconcile --once --anyway` makes one run all the same"
}

// Words say since when, until when, by whom and why.
func (s Suspension) Words() string {
	words := []string{"since " + clock(s.Since)}
	if !s.Until.IsZero() {
		words = append(words, "until "+clock(s.Until))
	}
	if s.By != "" {
		words = append(words, "by "+s.By)
	}
	text := strings.Join(words, " ")
	if s.Why != "" {
		text += ": " + s.Why
	}
	return text
}

// clock is how people read a time.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }
