package registry

import "testing"

func TestWhomAGuardTrusts(t *testing.T) {
	for _, c := range []struct {
		registry, host string
		may            bool
	}{
		{"registry.lan:5000", "registry.lan", true},
		{"Registry.lan", "REGISTRY.LAN", true},
		{"[::1]:5000", "::1", true},
		{"registry.lan", "auth.registry.lan", false},
		{"registry.lan", "lan", false},
		{"registry.lan", "gitlab.lan", true},
		{"index.docker.io", "auth.docker.io", true},
		{"index.docker.io", "auth.docker.io.evil.example", false},
		{"registry.lan", "auth.docker.io", false},
		{"registry.gitlab.com", "gitlab.com", true},
	} {
		if newGuard(nil, c.registry, []string{"gitlab.lan"}).trusts(c.host) != c.may {
			t.Errorf("%s may have the credentials of %s: want %v", c.host, c.registry, c.may)
		}
	}
}
