package builtin

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/internal/nearest"
)

func units(r *Target, u *kind.Units) error {
	switch {
	case !r.Known:
		return errors.New("units are looked up in the image, and it is not known yet; reconcile first")
	case !r.Exists("/usr/lib/systemd/system") && !r.Exists("/lib/systemd/system"):
		return errors.New("the image has no systemd; keep the hook from it with exclude")
	}
	preset := r.generated()
	for _, name := range u.Disable {
		if err := disableUnit(r, name); err != nil {
			return err
		}
		preset += "disable " + name + "\n"
	}
	for _, name := range u.Mask {
		if err := r.files(kind.File{Path: path.Join(kind.UnitDir, name), Link: "/dev/null"}); err != nil {
			return err
		}
		preset += "disable " + name + "\n"
	}
	for _, name := range u.Enable {
		if err := enableUnit(r, name); err != nil {
			return err
		}
		preset += "enable " + name + "\n"
	}
	return r.text(u.Paths(r.hook)[0], preset)
}

// enableUnit makes the links that a unit's [Install] section asks for.
func enableUnit(r *Target, name string) error {
	u, err := findUnit(r.Tree, name)
	var missing errNoUnit
	if errors.As(err, &missing) {
		return fmt.Errorf("%w%s", err, nearest.Hint(name, unitNames(r)))
	}
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	if made, err := install(r, name, u, seen); err != nil || made {
		return err
	}
	return fmt.Errorf("unit %q has nothing in its [Install] section, so it cannot be enabled: others start it; make a [[link]] if that is meant", name)
}

func unitNames(r *Target) (names []string) {
	for _, dir := range unitDirs {
		found, _ := r.List(dir) // only for a guess in a message
		names = append(names, found...)
	}
	return names
}

// install makes a unit's links and those of the units that go with it.
func install(r *Target, name string, u *unitFile, seen map[string]bool) (made bool, err error) {
	if seen[name] {
		return true, nil
	}
	seen[name] = true
	if u.masked {
		return false, fmt.Errorf("unit %q is masked; remove = [%q] takes that away", name, u.path)
	}
	links, err := u.links(name)
	if err != nil {
		return false, err
	}
	for _, p := range links {
		if err := r.files(kind.File{Path: path.Join(kind.UnitDir, p), Link: u.path}); err != nil {
			return false, err
		}
	}
	for _, other := range u.install["Also"] {
		also, err := findUnit(r.Tree, other)
		if err != nil {
			r.Log.Warn("a unit names another in Also that cannot be enabled", "unit", name, "also", other, "error", err)
			continue
		}
		if _, err := install(r, other, also, seen); err != nil {
			return false, err
		}
	}
	return len(links) > 0 || len(u.install["Also"]) > 0, nil
}

// links returns the paths below UnitDir that lead to the unit when it is
// enabled.
func (u *unitFile) links(name string) (paths []string, err error) {
	template, instance := templateOf(u.name)
	if asked, given := templateOf(name); template == u.name && asked == u.name {
		instance = given
	}
	if strings.Contains(u.name, "@.") && instance == "" {
		if instance = strings.Join(u.install["DefaultInstance"], ""); instance == "" && len(u.install) > 0 {
			return nil, fmt.Errorf("unit %q is a template without a DefaultInstance; name an instance, as in %q", name, strings.Replace(name, "@", "@one", 1))
		}
	}
	full := u.name
	if strings.Contains(u.name, "@.") {
		full = strings.Replace(u.name, "@", "@"+instance, 1)
	}
	for _, list := range []struct{ key, folder string }{{"Alias", ""}, {"WantedBy", ".wants"}, {"RequiredBy", ".requires"}, {"UpheldBy", ".upholds"}} {
		for _, word := range u.install[list.key] {
			word, err := expand(word, full, instance)
			switch {
			case err != nil:
				return nil, fmt.Errorf("%s in %s: %w", list.key, u.path, err)
			case list.folder != "":
				paths = append(paths, path.Join(word+list.folder, full))
			case word != full:
				paths = append(paths, word)
			}
		}
	}
	return paths, nil
}

// expand replaces specifiers, of which [Install] takes few; see
// systemd.unit(5).
func expand(word, name, instance string) (string, error) {
	stem := name[:strings.LastIndexByte(name, '.')]
	prefix, _, _ := strings.Cut(stem, "@")
	last := prefix[strings.LastIndexByte(prefix, '-')+1:]
	out := strings.NewReplacer("%%", "%", "%n", name, "%N", stem, "%p", prefix, "%j", last, "%i", instance).Replace(word)
	if wrong := kind.WrongUnit(out); wrong != "" {
		return "", fmt.Errorf("%q %s", word, wrong)
	}
	return out, nil
}

// disableUnit removes the links below UnitDir that lead to a unit, and to
// those that go with it.
func disableUnit(r *Target, name string) error {
	names := []string{name}
	for i := 0; i < len(names); i++ {
		u, err := findUnit(r.Tree, names[i])
		var missing errNoUnit
		switch {
		case errors.As(err, &missing):
			r.Log.Info("the image has no such unit to disable", "unit", names[i], "hook", r.hook)
			continue
		case err != nil:
			return err
		}
		more := u.install["Also"]
		if template, _ := templateOf(names[i]); template != u.name { // an alias
			more = append(more, u.name)
		}
		for _, other := range more {
			if !slices.Contains(names, other) {
				names = append(names, other)
			}
		}
	}
	dirs, err := r.List(kind.UnitDir)
	if err != nil {
		return err
	}
	for _, dir := range append(dirs, "") {
		switch path.Ext(dir) {
		case "", ".wants", ".requires", ".upholds":
			if err := unlinkUnits(r, path.Join(kind.UnitDir, dir), names); err != nil {
				return err
			}
		}
	}
	return nil
}

// unlinkUnits removes the links in a folder that have one of the names or lead
// to a file of that name.
func unlinkUnits(r *Target, dir string, names []string) error {
	entries, err := r.List(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		p := path.Join(dir, entry)
		st, err := r.Look(p)
		if err != nil {
			return err
		}
		if st.Mode.Type() != fs.ModeSymlink || st.Link == "/dev/null" || !leadsTo(entry, st.Link, names) {
			continue
		}
		if err := r.Remove(p, r.hook); err != nil {
			return err
		}
	}
	return nil
}

// leadsTo reports whether a link is how one of the units is enabled. That of
// an instance leads to its template, which is disabled only with all.
func leadsTo(entry, target string, names []string) bool {
	base := path.Base(target)
	if template, instance := templateOf(entry); instance != "" && base == template {
		return slices.Contains(names, entry) || slices.Contains(names, template)
	}
	return slices.Contains(names, entry) || slices.Contains(names, base)
}
