package watchdog

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/gitboot/gitboot/deployment"
)

// settings are systemd's files that can tell it to feed a watchdog
// (systemd-system.conf(5)), below the image's root.
var settings = []string{
	"etc/systemd/system.conf", "usr/lib/systemd/system.conf",
	"etc/systemd/system.conf.d/*.conf", "run/systemd/system.conf.d/*.conf",
	"usr/local/lib/systemd/system.conf.d/*.conf", "usr/lib/systemd/system.conf.d/*.conf",
}

// daemons are files that are there where a program is to feed one: its own, or
// that of who starts it.
var daemons = []string{
	"etc/watchdog.conf", "etc/watchdogd.conf",
	"etc/runlevels/*/*watchdog*", "etc/rc[2-5S].d/S*watchdog*", "etc/systemd/system/*.wants/*watchdog*",
	"etc/runit/runsvdir/*/*watchdog*", "etc/service/*watchdog*", "var/service/*watchdog*",
}

// scripts are what starts programs of the smallest systems.
var scripts = []string{"etc/inittab", "etc/init.d/rcS", "etc/rc.local"}

// Fed says what of the image at root, or of the kernel command line, is to feed a
// watchdog; "" if nothing is.
func Fed(root, cmdline string) string {
	for _, word := range deployment.Fields(cmdline) {
		if value, ok := strings.CutPrefix(word, "systemd.watchdog_sec="); ok && on(value) {
			return "the kernel argument " + word
		}
	}
	for _, name := range match(root, settings) {
		if value, ok := lastLine(name, "RuntimeWatchdogSec="); ok && on(value) {
			return "RuntimeWatchdogSec=" + value + " in " + name
		}
	}
	if found := match(root, daemons); len(found) > 0 {
		return found[0]
	}
	for _, name := range match(root, scripts) {
		if line, ok := mention(name, "watchdog"); ok {
			return name + ": " + line
		}
	}
	return ""
}

// on reports whether systemd takes a value for a time.
func on(value string) bool {
	return value != "" && value != "off" && value != "infinity" && strings.Trim(value, "0") != ""
}

func match(root string, globs []string) (found []string) {
	for _, glob := range globs {
		names, _ := filepath.Glob(filepath.Join(root, glob))
		found = append(found, names...)
	}
	return found
}

// lastLine is what follows a prefix in the last line that has it.
func lastLine(name, prefix string) (value string, ok bool) {
	text, _ := os.ReadFile(name)
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(strings.TrimSpace(line), prefix); found {
			value, ok = strings.TrimSpace(rest), true
		}
	}
	return value, ok
}

// mention is the first line that has a word and is no comment.
func mention(name, word string) (string, bool) {
	text, _ := os.ReadFile(name)
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); strings.Contains(line, word) && !strings.HasPrefix(line, "#") {
			return line, true
		}
	}
	return "", false
}
