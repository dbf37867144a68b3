package lab

import (
	"errors"
	"testing"
)

// RequireMachines skips a test under -short and for users other than root,
// and fails it if something else stands in the way of disks and machines.
func RequireMachines(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots machines; not with -short")
	}
	if err := Ready(); errors.Is(err, ErrNotRoot) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
}
