package watchdog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFed(t *testing.T) {
	for _, c := range []struct{ name, text, cmdline, want string }{
		{want: ""},
		{name: "etc/systemd/system.conf", text: "[Manager]\n#RuntimeWatchdogSec=30\n"},
		{name: "etc/systemd/system.conf", text: "RuntimeWatchdogSec=0\n"},
		{name: "etc/systemd/system.conf", text: "RuntimeWatchdogSec=30\nRuntimeWatchdogSec=off\n"},
		{name: "usr/lib/systemd/system.conf.d/x.conf", text: "[Manager]\n RuntimeWatchdogSec=default\n", want: "RuntimeWatchdogSec=default"},
		{cmdline: "quiet systemd.watchdog_sec=20s", want: "systemd.watchdog_sec=20s"},
		{cmdline: "systemd.watchdog_sec=0"},
		{name: "etc/watchdog.conf", text: "", want: "watchdog.conf"},
		{name: "etc/rc2.d/S05watchdog", text: "", want: "S05watchdog"},
		{name: "etc/rc2.d/K01watchdog", text: ""},
		{name: "etc/systemd/system/multi-user.target.wants/watchdogd.service", text: "", want: "watchdogd.service"},
		{name: "etc/inittab", text: "# watchdog\n::respawn:/sbin/watchdog -F /dev/watchdog\n", want: "/sbin/watchdog -F"},
		{name: "etc/inittab", text: "# watchdog\n::sysinit:/etc/rc\n"},
		{name: "sbin/watchdog", text: "busybox's, in every image that has busybox"},
	} {
		root := t.TempDir()
		if c.name != "" {
			path := filepath.Join(root, c.name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := Fed(root, c.cmdline); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s %q %q: %q", c.name, c.text, c.cmdline, got)
		}
	}
}
