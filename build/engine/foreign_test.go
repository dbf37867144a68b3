package engine

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

// Only what another architecture's programs have failed of has the remedy for that.
func TestForeign(t *testing.T) {
	failed := errors.New(`exit status 1: exec container process "/bin/sh": Exec format error`)
	other := errors.New("exit status 1: not found")
	for what, c := range map[string]struct {
		err      error
		platform string
		want     bool
	}{
		"another's": {failed, "linux/riscv64", true}, "a variant": {failed, "linux/riscv64/v1", true}, "its own": {failed, "linux/" + runtime.GOARCH, false},
		"none": {failed, "", false}, "otherwise": {other, "linux/riscv64", false}, "built": {nil, "linux/riscv64", false},
	} {
		got := foreign(c.err, c.platform)
		if !errors.Is(got, c.err) {
			t.Errorf("%s: it is %v no more", what, c.err)
		}
		if as := errors.As(got, new(*ForeignError)); as != c.want || as && !strings.Contains(got.Error(), "qemu-user-static") {
			t.Errorf("%s: %v", what, got)
		}
	}
}
