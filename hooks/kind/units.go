package kind

import (
	"slices"
	"strings"

	"github.com/gitboot/gitboot/hooks/check"
)

// Units enables, disables and masks units of systemd.
type Units struct {
	Enable  []string `key:"enable" is:"template" doc:"Units that start by themselves, as their [Install] section says."`
	Disable []string `key:"disable" is:"template" doc:"Units that do not start by themselves."`
	Mask    []string `key:"mask" is:"template" doc:"Units that cannot be started at all."`
}

func (u *Units) Help() Help {
	return Help{
		Summary: "enable, disable and mask systemd's units",
		Text: `Makes and removes the links below /etc/systemd/system that "systemctl enable",
"disable" and "mask" would, as the image's unit files say, or those that the hook
or an earlier one writes: WantedBy, RequiredBy, UpheldBy, Alias, Also and
DefaultInstance of [Install], drop-ins included. A preset says the same, so that a
first boot does not undo it.

enable   such as "ssh.service", "fstrim.timer", "getty@tty3.service"
disable  also what the unit names in Also; links below /usr are the image's and stay
mask     whether the image has the unit or not`,
	}
}

// UnitDir is where enabled and masked units are links.
const UnitDir = "/etc/systemd/system"

func (u *Units) Paths(hook string) []string {
	paths := []string{"/etc/systemd/system-preset/00-gitboot-" + hook + ".preset"}
	for _, name := range u.Mask {
		paths = append(paths, UnitDir+"/"+name)
	}
	return paths
}

func (u *Units) Complete(Machine) {}

func (u *Units) Check() (ps check.Problems) {
	var known []string
	for _, list := range []struct {
		key   string
		names []string
	}{{"enable", u.Enable}, {"disable", u.Disable}, {"mask", u.Mask}} {
		for i, name := range list.names {
			ps.Add(name, WrongUnit(name), `write a unit's whole name, such as "ssh.service"`, list.key, i)
			if slices.Contains(known, name) {
				ps.Add(name, "is listed twice", "remove one", list.key, i)
			}
			known = append(known, name)
		}
	}
	if len(known) == 0 {
		ps.Add("", "is missing", "add enable, disable or mask", "enable")
	}
	return ps
}

// WrongUnit returns what keeps a name from being a unit's, see systemd.unit(5).
func WrongUnit(name string) string {
	types := []string{"service", "socket", "target", "timer", "path", "mount", "automount", "swap", "slice", "device", "scope"}
	i := strings.LastIndexByte(name, '.')
	if i < 1 || len(name) > check.MaxName || !slices.Contains(types, name[i+1:]) || name[0] == '@' || strings.ContainsFunc(name, notUnitByte) {
		return "is no unit's name"
	}
	return ""
}

func notUnitByte(c rune) bool {
	return !strings.ContainsRune(`:-_.\@`, c) && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}
