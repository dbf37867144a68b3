package reconciler

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/stage"
)

// A run that fails as a whole leaves its reason in the state, so that status
// can tell it: a config repo that cannot be fetched or is not valid, a boot
// loader that is not there. Failures of single images have their own places.

// noteFailure keeps why a run failed. What stands already is not written anew;
// what is nobody's failure, or that of a run which holds the lock, is not
// written at all.
func (r *Reconciler) noteFailure(ctx context.Context, revision string, failure error) {
	if failure == nil || ctx.Err() != nil || errors.Is(failure, stage.ErrLocked) || superseded(failure) {
		return
	}
	state, err := LoadState(r.Stage)
	if err != nil || state.Failure.stands(told(failure), revision) {
		return
	}
	lock, err := r.stage.Lock(ctx, false)
	if err == nil {
		err = errors.Join(r.saveFailure(told(failure), revision), lock.Release())
	}
	if err != nil && !errors.Is(err, stage.ErrLocked) {
		r.Log.Warn("why the run failed is not kept for status", "error", err)
	}
}

func (r *Reconciler) saveFailure(message, revision string) error {
	state, err := LoadState(r.Stage)
	if err != nil {
		return err
	}
	f := &Failure{Message: message, Since: r.Now().UTC().Truncate(time.Second), Revision: revision}
	if old := state.Failure; old != nil && sameMessage(old.Message, message) {
		f.Since = old.Since
	}
	state.Failure = f
	return state.Save(r.Stage)
}

// stands reports whether f says the same already.
func (f *Failure) stands(message, revision string) bool {
	return f != nil && f.Revision == revision && sameMessage(f.Message, message)
}

// ownEnd is the local end of a connection, whose port is another at each try.
var ownEnd = regexp.MustCompile(`\S+->`)

// sameMessage reports whether two errors say the same.
func sameMessage(a, b string) bool {
	return a == b || ownEnd.ReplaceAllString(a, "") == ownEnd.ReplaceAllString(b, "")
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
