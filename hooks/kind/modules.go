package kind

import (
	"cmp"
	"strings"

	"github.com/gitboot/gitboot/hooks/check"
)

// Modules says which kernel modules are loaded and how, see modules-load.d(5)
// and modprobe.d(5).
type Modules struct {
	Load      []string `key:"load" is:"template" doc:"Modules to load at boot."`
	Blacklist []string `key:"blacklist" is:"template" doc:"Modules not to load by themselves for a device."`
	Options   []string `key:"options" is:"template" doc:"Options as \"MODULE name=value …\"."`
}

func (m *Modules) Help() Help {
	return Help{
		Summary: "load kernel modules, keep some out, give them options",
		Text: `Writes /etc/modules-load.d/gitboot-HOOK.conf and /etc/modprobe.d/gitboot-HOOK.conf.
They count from the image's init on: drivers that gitboot needs to find the stage
are loaded before. For those, and for what is built into the kernel, use
kernel_args = ["MODULE.name=value"].

load       modules to load at boot, such as "br_netfilter"
blacklist  modules that are not loaded because of a device; by name they still are
options    lines such as "snd_hda_intel power_save=1"`,
	}
}

func (m *Modules) Paths(hook string) (paths []string) {
	if len(m.Load) > 0 {
		paths = append(paths, "/etc/modules-load.d/gitboot-"+hook+".conf")
	}
	if len(m.Blacklist)+len(m.Options) > 0 {
		paths = append(paths, "/etc/modprobe.d/gitboot-"+hook+".conf")
	}
	return paths
}

func (m *Modules) Complete(Machine) {}

func (m *Modules) Check() (ps check.Problems) {
	if len(m.Load)+len(m.Blacklist)+len(m.Options) == 0 {
		ps.Add("", "has nothing to do", "add load, blacklist or options", "load")
	}
	for i, name := range m.Load {
		ps.Add(name, wrongModule(name), "write the name of a module, as lsmod has it", "load", i)
	}
	for i, name := range m.Blacklist {
		ps.Add(name, wrongModule(name), "write the name of a module, as lsmod has it", "blacklist", i)
	}
	for i, line := range m.Options {
		name, options, _ := strings.Cut(line, " ")
		wrong := cmp.Or(check.NotLine(line), wrongModule(name))
		if strings.TrimSpace(options) == "" {
			wrong = cmp.Or(wrong, "has no options")
		}
		ps.Add(line, wrong, `write "MODULE name=value"`, "options", i)
	}
	return ps
}

func wrongModule(name string) string {
	bad := func(c rune) bool {
		return c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, bad) {
		return "is no module's name"
	}
	return ""
}
