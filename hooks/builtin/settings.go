package builtin

import (
	"fmt"
	"path"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/internal/nearest"
)

// Built-ins that write a file or two, from what is declared and little else.

func sysctl(r *Target, s *kind.Sysctl) error {
	var b strings.Builder
	b.WriteString(r.generated())
	for _, line := range s.Set {
		name, value, _ := strings.Cut(line, "=")
		b.WriteString(strings.TrimSpace(name) + " = " + strings.TrimSpace(value) + "\n")
	}
	return r.text(s.Paths(r.hook)[0], b.String())
}

func modules(r *Target, m *kind.Modules) error {
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
	for _, p := range m.Paths(r.hook) {
		content := probe
		if strings.HasPrefix(p, "/etc/modules-load.d/") {
			content = load
		}
		if err := r.text(p, r.generated()+content); err != nil {
			return err
		}
	}
	return nil
}

const zoneinfo = "/usr/share/zoneinfo"

func timezone(r *Target, z *kind.Timezone) error {
	if r.Known {
		if err := checkZone(r, z.Zone); err != nil {
			return err
		}
	}
	files := []kind.File{{Path: "/etc/localtime", Link: ".." + path.Join(zoneinfo, z.Zone)}}
	if r.Exists("/etc/timezone") {
		files = append(files, kind.File{Path: "/etc/timezone", Content: []byte(z.Zone + "\n")})
	}
	return r.files(files...)
}

// checkZone finds out mistyped names where the image has a tz database.
func checkZone(r *Target, zone string) error {
	p := path.Join(zoneinfo, zone)
	if r.Exists(p) {
		return nil
	}
	names, err := r.List(path.Dir(p))
	if err != nil {
		return err
	}
	if all, err := r.List(zoneinfo); err != nil || len(all) == 0 {
		r.Log.Warn("the image has no time zones, so that it stays at UTC; install tzdata in it", "hook", r.hook)
		return err
	}
	return fmt.Errorf("the image has no time zone %q%s; see /usr/share/zoneinfo in it", zone, nearest.Hint(path.Base(zone), names))
}

func locale(r *Target, l *kind.Locale) error {
	content := r.generated() + "LANG=" + l.Lang + "\n"
	for _, line := range l.Set {
		content += line + "\n"
	}
	if r.Exists("/etc/debian_version") {
		if err := r.text("/etc/default/locale", content); err != nil {
			return err
		}
	}
	return r.text("/etc/locale.conf", content)
}
