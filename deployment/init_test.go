package deployment_test

import (
	"slices"
	"testing"

	"github.com/gitboot/gitboot/deployment"
)

func TestInits(t *testing.T) {
	for _, c := range []struct {
		cmdline string
		want    []string
	}{
		{"quiet", []string{"/sbin/init", "/etc/init", "/bin/init", "/usr/lib/systemd/systemd", "/lib/systemd/systemd"}},
		{"init=/bin/sh quiet", []string{"/bin/sh"}},
		{"init=/one init=/other rdinit=/no", []string{"/other"}},
		{"quiet -- init=/passed/on", []string{"/sbin/init", "/etc/init", "/bin/init", "/usr/lib/systemd/systemd", "/lib/systemd/systemd"}},
	} {
		if got := deployment.Inits(deployment.Fields(c.cmdline)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.cmdline, got, c.want)
		}
	}
}
