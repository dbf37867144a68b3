package hooks

import (
	"fmt"
	"path"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/internal/nearest"
)

// Built-ins that write a file or two, from what is declared and little else.

func (r *renderer) sysctl(hook string, s *kind.Sysctl) error {
	var b strings.Builder
	b.WriteString(generated(hook))
	for _, line := range s.Set {
		name, value, _ := strings.Cut(line, "=")
		b.WriteString(strings.TrimSpace(name) + " = " + strings.TrimSpace(value) + "\n")
	}
	return r.text(hook, s.Paths(hook)[0], b.String())
}

func (r *renderer) modules(hook string, m *kind.Modules) error {
	load, probe := "", ""
	for _, name := range m.Load {
		load += name + "\n"
	}
	for _, name := range m.Blacklist {
		probe += "blacklist " + name + "\n"
	}
	for _, line := range m.Options {
		probe += "options " + line + "\n"
	}
	for _, p := range m.Paths(hook) {
		content := probe
		if strings.HasPrefix(p, "/etc/modules-load.d/") {
			content = load
		}
		if err := r.text(hook, p, generated(hook)+content); err != nil {
			return err
		}
	}
	return nil
}

const zoneinfo = "/usr/share/zoneinfo"

func (r *renderer) timezone(hook string, z *kind.Timezone) error {
	if r.in.Root != nil {
		if err := r.checkZone(hook, z.Zone); err != nil {
			return err
		}
	}
	files := []kind.File{{Path: "/etc/localtime", Link: ".." + path.Join(zoneinfo, z.Zone)}}
	if r.tree.exists("/etc/timezone") {
		files = append(files, kind.File{Path: "/etc/timezone", Content: []byte(z.Zone + "\n")})
	}
	return r.files(hook, files)
}

// checkZone finds out mistyped names where the image has a tz database.
func (r *renderer) checkZone(hook, zone string) error {
	p := path.Join(zoneinfo, zone)
	if r.tree.exists(p) {
		return nil
	}
	names, err := r.tree.list(path.Dir(p))
	if err != nil {
		return err
	}
	if all, err := r.tree.list(zoneinfo); err != nil || len(all) == 0 {
		r.in.log().Warn("the image has no time zones, so that it stays at UTC; install tzdata in it", "hook", hook)
		return err
	}
	return fmt.Errorf("the image has no time zone %q%s; see /usr/share/zoneinfo in it", zone, nearest.Hint(path.Base(zone), names))
}

func (r *renderer) locale(hook string, l *kind.Locale) error {
	content := generated(hook) + "LANG=" + l.Lang + "\n"
	for _, line := range l.Set {
		content += line + "\n"
	}
	if r.tree.exists("/etc/debian_version") {
		if err := r.text(hook, "/etc/default/locale", content); err != nil {
			return err
		}
	}
	return r.text(hook, "/etc/locale.conf", content)
}
