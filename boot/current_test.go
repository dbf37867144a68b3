package boot

import (
	"errors"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
)

func TestCurrent(t *testing.T) {
	id := strings.Repeat("a", 64)
	want := deployment.Cmdline{Stage: deployment.Location{Device: "UUID=x", Path: "/gitboot"}, Deployment: id, Trying: true}
	got, err := Current("BOOT_IMAGE=/x quiet " + strings.Join(want.Args(), " ") + "\n")
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, line := range []string{"", "quiet root=/dev/sda1", "-- gitboot.deployment=" + id} {
		if _, err := Current(line); !errors.Is(err, ErrNotBooted) {
			t.Errorf("%q: %v", line, err)
		}
	}
	if _, err := Current("gitboot.deployment=short"); err == nil || errors.Is(err, ErrNotBooted) {
		t.Errorf("a damaged command line: %v", err)
	}
}
