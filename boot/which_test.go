package boot

import "testing"

func TestWhich(t *testing.T) {
	for what, c := range map[string]struct {
		declared string
		there    Installed
		want     string
	}{
		"nothing is there":      {"", Installed{}, GRUB},
		"GRUB":                  {"", Installed{GRUB: true}, GRUB},
		"both":                  {"", Installed{GRUB: true, SystemdBoot: true}, GRUB},
		"systemd-boot":          {"", Installed{SystemdBoot: true}, SystemdBoot},
		"it has started it":     {"", Installed{GRUB: true, SystemdBoot: true, Running: "systemd-boot 252.39-1~deb12u2"}, SystemdBoot},
		"it is not mounted":     {"", Installed{GRUB: true, Running: "systemd-boot 257"}, SystemdBoot},
		"another has":           {"", Installed{GRUB: true, Running: "GRUB 2.12"}, GRUB},
		"a Raspberry Pi":        {"", Installed{RaspberryPi: true}, RaspberryPi},
		"one with GRUB":         {"", Installed{RaspberryPi: true, GRUB: true}, GRUB},
		"it is declared":        {SystemdBoot, Installed{GRUB: true}, SystemdBoot},
		"the other is declared": {GRUB, Installed{Running: "systemd-boot 257"}, GRUB},
	} {
		if got, why := Which(c.declared, c.there); got != c.want || why == "" {
			t.Errorf("%s: %s, because %q", what, got, why)
		}
	}
}
