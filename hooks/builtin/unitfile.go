package builtin

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/hooks/layer"
)

// unitDirs are where an image keeps unit files, first ones first; see
// systemd.unit(5). /lib is /usr/lib in most.
var unitDirs = []string{kind.UnitDir, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// A unitFile is a unit as its file and its drop-ins have it.
type unitFile struct {
	name string // of the unit, or its template's
	path string
	// masked: it is a link to /dev/null, or empty.
	masked bool
	// install are the lists of the section [Install] by their keys.
	install map[string][]string
}

// An errNoUnit is the name of a unit that the image has not.
type errNoUnit string

func (e errNoUnit) Error() string { return fmt.Sprintf("the image has no unit %q", string(e)) }

// findUnit finds a unit: by its name, by an alias, or an instance's template.
func findUnit(t *layer.Tree, name string) (*unitFile, error) {
	asked := name
	for range 8 { // alias of an alias
		p, found := findUnitFile(t, name)
		if !found {
			return nil, errNoUnit(asked)
		}
		st, err := t.Look(p)
		if err != nil {
			return nil, err
		}
		if base := path.Base(st.Link); st.Mode.Type() == fs.ModeSymlink && base != path.Base(p) && kind.WrongUnit(base) == "" {
			name = base
			continue
		}
		return readUnit(t, p)
	}
	return nil, fmt.Errorf("unit %q is an alias that goes in circles", asked)
}

func findUnitFile(t *layer.Tree, name string) (string, bool) {
	for _, dir := range unitDirs {
		if p := path.Join(dir, name); t.Exists(p) {
			return p, true
		}
	}
	if template, instance := templateOf(name); instance != "" {
		return findUnitFile(t, template)
	}
	return "", false
}

// templateOf splits "a@b.service" into "a@.service" and "b".
func templateOf(name string) (template, instance string) {
	at, dot := strings.IndexByte(name, '@'), strings.LastIndexByte(name, '.')
	if at < 0 || at > dot {
		return name, ""
	}
	return name[:at+1] + name[dot:], name[at+1 : dot]
}

func readUnit(t *layer.Tree, p string) (*unitFile, error) {
	u := &unitFile{name: path.Base(p), path: p, install: map[string][]string{}}
	data, err := t.Read(p)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(data) == 0 {
		u.masked = true // /dev/null is in no image
		return u, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read unit %s: %w", p, err)
	}
	u.parse(string(data))
	dropIns, err := dropIns(t, u.name)
	if err != nil {
		return nil, err
	}
	for _, p := range dropIns {
		data, err := t.Read(p)
		if err != nil {
			return nil, fmt.Errorf("read drop-in %s: %w", p, err)
		}
		u.parse(string(data))
	}
	return u, nil
}

// dropIns returns a unit's in the order of their names; of equal ones the
// first folder's counts.
func dropIns(t *layer.Tree, name string) ([]string, error) {
	files := map[string]string{}
	var names []string
	for _, dir := range unitDirs {
		dir = path.Join(dir, name+".d")
		found, err := t.List(dir)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if _, ok := files[f]; !ok && strings.HasSuffix(f, ".conf") {
				files[f] = path.Join(dir, f)
				names = append(names, f)
			}
		}
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = files[name]
	}
	return names, nil
}

// parse adds what a file says below [Install]; see systemd.syntax(7).
func (u *unitFile) parse(text string) {
	section := ""
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			section = line
		case section == "[Install]":
			key, value, _ := strings.Cut(line, "=")
			key = strings.TrimSpace(key)
			if words := strings.Fields(value); len(words) > 0 {
				u.install[key] = append(u.install[key], words...)
			} else {
				delete(u.install, key)
			}
		}
	}
}
