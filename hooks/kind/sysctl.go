package kind

import (
	"cmp"
	"strings"

	"github.com/gitboot/gitboot/hooks/check"
)

// Sysctl sets kernel parameters, see sysctl.d(5).
type Sysctl struct {
	Set []string `key:"set" is:"template" doc:"Parameters as \"net.ipv4.ip_forward = 1\"; with - before it, one that the kernel may not have."`
}

func (s *Sysctl) Help() Help {
	return Help{
		Summary: "set kernel parameters at every boot",
		Text: `Writes /etc/sysctl.d/zz-gitboot-HOOK.conf, which systemd-sysctl and procps read
after all others: what is declared here wins.

set  lines such as "net.ipv4.ip_forward = 1"; a - before the name passes over
     one that the kernel does not have`,
	}
}

func (s *Sysctl) Paths(hook string) []string {
	return []string{"/etc/sysctl.d/zz-gitboot-" + hook + ".conf"}
}

func (s *Sysctl) Complete(Machine) {}

func (s *Sysctl) Check() (ps check.Problems) {
	if len(s.Set) == 0 {
		ps.Add("", "is missing", `add set = ["vm.swappiness = 10"]`, "set")
	}
	known := map[string]bool{}
	for i, line := range s.Set {
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		wrong := cmp.Or(check.NotLine(line), wrongSysctl(strings.TrimPrefix(name, "-")))
		if !ok || strings.TrimSpace(value) == "" {
			wrong = cmp.Or(wrong, "has no value")
		}
		if wrong == "" && known[name] {
			wrong = "is set twice"
		}
		known[name] = true
		ps.Add(line, wrong, `write "name = value", such as "vm.swappiness = 10"`, "set", i)
	}
	return ps
}

// wrongSysctl takes what lies below /proc/sys, with dots or slashes, and the
// globs of sysctl.d(5).
func wrongSysctl(name string) string {
	good := func(c rune) bool {
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.ContainsRune("_-./*?:@", c)
	}
	if strings.Trim(name, "./") != name || name == "" || strings.Contains(name, "..") ||
		strings.ContainsFunc(name, func(c rune) bool { return !good(c) }) {
		return "is no kernel parameter"
	}
	return ""
}
