package kind

import (
	"fmt"
	"path"
	"strings"
)

// AtBootDir is where at-boot scripts lie in the image.
const AtBootDir = "/usr/lib/gitboot/at-boot"

// A Conflict is a path that cannot be what two declarations need it to be.
type Conflict struct {
	// Hook declares Path, which cannot be beside what Other declares as
	// OtherPath: one lies below the other, which is no directory.
	Hook, Path       string
	Other, OtherPath string
}

// Conflicts returns the paths that contradict each other in the hooks of one
// image. What scripts write and where the image's links lead is not known.
func Conflicts(hooks []Hook) (all []Conflict) {
	owners := owners{files: map[string]string{}, below: map[string]claim{}}
	for i := range hooks {
		for _, p := range hooks[i].paths() {
			if c, found := owners.add(p, hooks[i].Name); found {
				all = append(all, c)
			}
		}
	}
	return all
}

func (h *Hook) paths() (paths []string) {
	if h.Builtin != nil {
		if _, settings, err := h.Builtin.One(); err == nil {
			paths = settings.Paths()
		}
	}
	for _, f := range h.Files {
		paths = append(paths, f.Path)
	}
	for _, s := range h.AtBoot {
		paths = append(paths, path.Join(AtBootDir, s.Name))
	}
	return paths
}

type claim struct{ hook, path string }

type owners struct {
	files map[string]string // path → hook
	below map[string]claim  // directory → something in it
}

func (o *owners) add(p, hook string) (Conflict, bool) {
	if inside, ok := o.below[p]; ok {
		return Conflict{hook, p, inside.hook, inside.path}, true
	}
	for dir := path.Dir(p); strings.Trim(dir, "/.") != ""; dir = path.Dir(dir) {
		if other, ok := o.files[dir]; ok {
			return Conflict{hook, p, other, dir}, true
		}
	}
	for dir := path.Dir(p); strings.Trim(dir, "/.") != ""; dir = path.Dir(dir) {
		if _, ok := o.below[dir]; ok {
			break // and so are those above it
		}
		o.below[dir] = claim{hook, p}
	}
	o.files[p] = hook
	return Conflict{}, false
}

func (c Conflict) String() string {
	upper, lower := c.Path, c.OtherPath
	if strings.HasPrefix(c.Path, c.OtherPath+"/") {
		upper, lower = lower, upper
	}
	text := "needs " + upper + " to be a directory for " + lower + " and to be none"
	if c.Other != c.Hook {
		text += fmt.Sprintf(", as hook %q has it", c.Other)
	}
	return text
}
