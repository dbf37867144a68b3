package state

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// Failure is an error that stands until a run without it.
type Failure struct {
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
	// Tries are those of what is tried again by itself: all but a whole run.
	plan.Tries
	// Revision is the one that the run was for which failed as a whole.
	Revision string `json:"revision,omitempty"`
}

// After is the failure that stands after another try: none without an error, f
// itself if it says the same.
func (f *Failure) After(err error, now time.Time) *Failure {
	switch {
	case err == nil:
		return nil
	case f != nil && SameMessage(f.Message, err.Error()):
		return f
	}
	return &Failure{Message: err.Error(), Since: now}
}

// Tried is After for what is tried again by itself: key tells what it was tried
// from, and whose it is. Whoever has tried before its time, in vain again, has
// changed nothing.
func (f *Failure) Tried(err error, key, whose string, now time.Time) *Failure {
	next := f.After(err, now)
	if next == nil || next == f && f.Key == key && f.Rest(now) {
		return next
	}
	again := *next
	if again.Tries = (plan.Tries{}).After(key, whose, now); f != nil {
		again.Tries = f.Tries.After(key, whose, now)
	}
	return &again
}

// Rests is the failure as an error, if it stands and what key tells is not to be
// tried again yet; nil otherwise.
func (f *Failure) Rests(key string, now time.Time) error {
	if f == nil || f.Key != key || !f.Rest(now) {
		return nil
	}
	return &RestingError{*f}
}

// Stands is an error, or that what failed stands if it says the same.
func (f *Failure) Stands(err error) error {
	if f != nil && SameMessage(f.Message, err.Error()) {
		return &RestingError{*f}
	}
	return err
}

// A RestingError is a failure that stands, of what is not tried again yet. It reads
// as what failed.
type RestingError struct{ Failure Failure }

func (e *RestingError) Error() string { return e.Failure.Message }

// OfRun is the failure of a run as a whole, for a revision. Of what stands
// already the time is kept, and f itself if it was for the same revision.
func (f *Failure) OfRun(err error, revision string, now time.Time) *Failure {
	next := &Failure{Message: told(err), Since: now, Revision: revision}
	if f == nil || !SameMessage(f.Message, next.Message) {
		return next
	}
	if f.Revision == revision {
		return f
	}
	next.Since = f.Since
	return next
}

// ofOneTry is what is another at each try: the local end of a connection, with its
// port, and the number in a temporary file's name.
var ofOneTry = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\S+->|-\d{6,}`) })

// SameMessage reports whether two errors say the same, though each try has a port
// and temporary files of its own.
func SameMessage(a, b string) bool {
	return a == b || ofOneTry().ReplaceAllString(a, "") == ofOneTry().ReplaceAllString(b, "")
}

// told bounds what is kept of an error, and makes it fit to be shown.
func told(err error) string {
	const maxLines, maxColumns = 8, 500
	lines := strings.Split(err.Error(), "\n")
	if len(lines) > maxLines {
		lines = append(lines[:maxLines:maxLines], fmt.Sprintf("… and %d lines more", len(lines)-maxLines))
	}
	for i, line := range lines {
		lines[i] = plain.Cut(plain.Line(line), maxColumns)
	}
	return strings.Join(lines, "\n")
}
