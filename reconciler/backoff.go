package reconciler

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A build that failed fails again, as a rule, until something changes. The
// polling reconcile tries it again after a while; whoever runs gitboot by hand
// or by a timer asks for a try, and gets it.

// pauses are how long a failed build is left alone, by how often it has been
// tried; the last one goes for all further tries.
func pause(attempts int) time.Duration {
	pauses := []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
	return pauses[min(max(attempts, 1), len(pauses))-1]
}

// A BackoffError is a failure that stands, of a build that is not tried again
// yet. It reads as what failed.
type BackoffError struct{ Failure Failure }

func (e *BackoffError) Error() string { return e.Failure.Message }

// retry decides whether a build whose reasons are known is tried now.
func (r *Reconciler) retry(b *observedBuild) error {
	f := b.state.Failure
	if len(b.reasons) == 0 || f == nil || f.Attempts == 0 || f.Key != b.keyHash() {
		return nil
	}
	if r.rests(f) {
		return &BackoffError{*f}
	}
	if note := "it has failed " + times(f.Attempts); !slices.Contains(b.reasons, note) {
		b.reasons = append(b.reasons, note)
	}
	return nil
}

// rests reports whether a failed build is left alone for now, if nothing that
// it is made from changes.
func (r *Reconciler) rests(f *Failure) bool {
	return r.patient && f != nil && f.Attempts > 0 && r.Now().Before(f.Next)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// tried notes that building an image has failed, and when it is tried again.
func (b *observedBuild) tried(err error, now time.Time) {
	f := &Failure{Message: err.Error(), Since: now, Attempts: 1, Key: b.keyHash()}
	if old := b.state.Failure; old != nil && old.Key == f.Key {
		f.Attempts = old.Attempts + 1
		if old.Message == f.Message {
			f.Since = old.Since
		}
	}
	f.Next = now.Add(pause(f.Attempts))
	b.state.Failure = f
}

// keyHash tells keys apart.
func (b *observedBuild) keyHash() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", b.key()))
	return hex.EncodeToString(sum[:8])
}

// waiting reports whether an image's failure is an old one, or follows from
// one, or that it is still being looked up: nothing has failed now.
func waiting(err error) bool {
	backoff, parent, coming := (*BackoffError)(nil), (*ParentError)(nil), (*ComingError)(nil)
	return errors.As(err, &backoff) || errors.As(err, &parent) || errors.As(err, &coming)
}
