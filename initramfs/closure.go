package initramfs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/initramfs/modindex"
)

// A closure collects modules with what they need.
type closure struct {
	set *moduleSet
	// named are the modules that features name, whether or not the kernel has
	// them.
	named   []string
	taken   map[string]*module
	aliases map[string][]string // soft names such as crc32c → modules
}

// cryptoDirs are the folders whose modules are asked for by soft names.
var cryptoDirs = [...]string{"kernel/crypto/", "kernel/lib/"}

func (s *moduleSet) newClosure(ctx context.Context) (*closure, error) {
	c := &closure{set: s, taken: make(map[string]*module), aliases: make(map[string][]string)}
	list := s.below(cryptoDirs[:]...)
	for _, m := range s.byName {
		if strings.HasPrefix(m.path, "kernel/arch/") && strings.Contains(m.path, "/crypto/") {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b *module) int { return strings.Compare(a.path, b.path) })
	if err := s.readAll(ctx, list); err != nil {
		return nil, err
	}
	for _, m := range list {
		for _, alias := range m.aliases {
			if !strings.Contains(alias, ":") {
				key := strings.ReplaceAll(alias, "-", "_")
				c.aliases[key] = append(c.aliases[key], m.name)
			}
		}
	}
	return c, nil
}

// resolve turns a soft name into the modules that answer to it.
func (c *closure) resolve(name string) []string {
	if c.set.byName[name] != nil {
		return []string{name}
	}
	return c.aliases[name]
}

// take adds a module and all that it needs; a name that the kernel doesn't
// have, or has built in, adds nothing.
func (c *closure) take(name string) error {
	m := c.set.byName[name]
	if m == nil || c.taken[name] != nil {
		return nil
	}
	if err := c.set.read(m); err != nil {
		return err
	}
	c.taken[name] = m
	for _, dep := range m.depends {
		if c.set.byName[dep] == nil && !c.set.builtIn[dep] {
			return fmt.Errorf("collecting what module %s needs: the image has no module %s; install the kernel's package whole", name, dep)
		}
	}
	for _, other := range slices.Concat(m.depends, c.before(m), c.after(m)) {
		if err := c.take(other); err != nil {
			return err
		}
	}
	return nil
}

// before returns the modules that m wants first, though it doesn't import
// from them.
func (c *closure) before(m *module) []string {
	var out []string
	for _, name := range slices.Concat(m.softPre, softBefore[m.name]) {
		out = append(out, c.resolve(name)...)
	}
	return out
}

// after returns the modules that are loaded once m is.
func (c *closure) after(m *module) []string {
	var out []string
	for _, name := range slices.Concat(m.softPost, softAfter[m.name]) {
		out = append(out, c.resolve(name)...)
	}
	return out
}

// fit reports whether a driver, with what it needs, belongs into an
// initramfs.
func (c *closure) fit(m *module, unwanted []string) (bool, error) {
	seen := make(map[string]bool)
	todo := []*module{m}
	for len(todo) > 0 {
		m := todo[0]
		todo = todo[1:]
		if seen[m.name] {
			continue
		}
		seen[m.name] = true
		if slices.ContainsFunc(unwanted, func(d string) bool { return strings.HasPrefix(m.path, d) }) {
			return false, nil
		}
		if err := c.set.read(m); err != nil {
			return false, err
		}
		for _, dep := range slices.Concat(m.depends, c.before(m), c.after(m)) {
			if next := c.set.byName[dep]; next != nil {
				todo = append(todo, next)
			}
		}
	}
	return true, nil
}

// modules returns what was taken, sorted by path.
func (c *closure) modules() []*module {
	var out []*module
	for _, m := range c.taken {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b *module) int { return strings.Compare(a.path, b.path) })
	return out
}

// index prepares process 1's list.
func (c *closure) index(dir string) *modindex.Index {
	x := &modindex.Index{Dir: dir}
	for _, name := range c.named {
		if c.set.builtIn[name] {
			x.BuiltIn = append(x.BuiltIn, name)
		}
	}
	slices.Sort(x.BuiltIn)
	list := c.modules()
	number := make(map[string]int, len(list))
	for i, m := range list {
		number[m.name] = i
	}
	for i, m := range list {
		entry := modindex.Module{Path: m.path}
		for _, name := range c.order(m) {
			entry.Before = append(entry.Before, number[name])
		}
		for _, name := range c.after(m) {
			if n, ok := number[name]; ok && n != i && !slices.Contains(entry.After, n) {
				entry.After = append(entry.After, n)
			}
		}
		x.Modules = append(x.Modules, entry)
		for _, alias := range m.aliases {
			if isDeviceAlias(alias) && !strings.Contains(alias, "\n") {
				x.Aliases = append(x.Aliases, modindex.Alias{Module: i, Pattern: alias})
			}
		}
	}
	return x
}

// order returns all that m needs, what is needed first before what needs it.
func (c *closure) order(m *module) []string {
	var out []string
	seen := map[string]bool{m.name: true}
	var visit func(m *module)
	visit = func(m *module) {
		for _, name := range slices.Concat(c.before(m), m.depends) {
			if next := c.taken[name]; next != nil && !seen[name] {
				seen[name] = true
				visit(next)
				out = append(out, name)
			}
		}
	}
	visit(m)
	return out
}
