package image

import (
	"errors"
	"strings"
	"testing"
)

// wantError checks an error's type and the words that a user needs in it.
func wantError[E error](t *testing.T, err error, words ...string) {
	t.Helper()
	var want E
	if err == nil || !errors.As(err, &want) {
		t.Fatalf("error %v (%T), want a %T", err, err, want)
	}
	wantWords(t, err, words...)
}

func wantWords(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}
