// Package conflict finds what the hooks of one image cannot have side by side.
package conflict

import (
	"fmt"
	"maps"
	"path"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
)

// A Conflict is a path that cannot be what two declarations need it to be.
type Conflict struct {
	// Hook declares Path, which cannot be beside what Other declares as
	// OtherPath: one lies below the other, which is no directory; or they are
	// one path that is declared twice.
	Hook, Path       string
	Other, OtherPath string
}

func (c Conflict) String() string {
	if c.Path == c.OtherPath && c.Hook == c.Other {
		return "is declared twice"
	}
	upper, lower := c.Path, c.OtherPath
	if strings.HasPrefix(c.Path, c.OtherPath+"/") {
		upper, lower = lower, upper
	}
	text := "needs " + upper + " to be a directory for " + lower + " and to be none"
	if upper == lower {
		text = "needs " + upper + " to be a directory and to be none"
	}
	if c.Other != c.Hook {
		text += fmt.Sprintf(", as hook %q has it", c.Other)
	}
	return text
}

// Find returns the paths that contradict each other in the hooks of one
// image. What scripts write and where the image's links lead is not known.
func Find(hooks []kind.Hook) (all []Conflict) {
	o := owners{files: map[string]string{}, dirs: map[string]claim{}}
	for i := range hooks {
		all = append(all, o.hook(&hooks[i])...)
	}
	return all
}

// owners are who declares what, by path.
type owners struct {
	files map[string]string // what is no directory → hook
	dirs  map[string]claim  // directory → who needs it for what
}

type claim struct{ hook, path string }

func (o *owners) hook(h *kind.Hook) (all []Conflict) {
	for _, p := range h.Removes {
		gone := func(q string) bool { return q == p || strings.HasPrefix(q, p+"/") }
		maps.DeleteFunc(o.files, func(q, _ string) bool { return gone(q) })
		maps.DeleteFunc(o.dirs, func(q string, _ claim) bool { return gone(q) })
	}
	add := func(p string, dir bool) {
		if c, found := o.add(p, h.Name, dir); found {
			all = append(all, c)
		}
	}
	for _, p := range h.BuiltinPaths() {
		add(p, false)
	}
	declared := map[string]bool{}
	once := func(p string, dir bool) {
		if declared[p] {
			all = append(all, Conflict{h.Name, p, h.Name, p})
		}
		declared[p] = true
		add(p, dir)
	}
	for _, d := range h.Dirs {
		once(d.Path, true)
	}
	for _, f := range h.Files {
		once(f.Path, false)
	}
	if len(h.Secrets()) > 0 {
		add(kind.SecretsFile, false)
	}
	for _, s := range h.AtBoot {
		add(path.Join(kind.AtBootDir, s.Name), false)
	}
	return all
}

// add notes a path. A file may replace one of an earlier hook.
func (o *owners) add(p, hook string, dir bool) (Conflict, bool) {
	above := p
	if !dir {
		above = path.Dir(p)
		if other, ok := o.dirs[p]; ok {
			return Conflict{hook, p, other.hook, other.path}, true
		}
	}
	var on []string
	for q := above; strings.Trim(q, "/.") != ""; q = path.Dir(q) {
		if other, ok := o.files[q]; ok {
			return Conflict{hook, p, other, q}, true
		}
		on = append(on, q)
	}
	for _, q := range on {
		if _, ok := o.dirs[q]; !ok {
			o.dirs[q] = claim{hook, p}
		}
	}
	if !dir {
		o.files[p] = hook
	}
	return Conflict{}, false
}
