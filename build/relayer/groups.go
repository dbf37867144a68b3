package relayer

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/build/relayer/unpacked"
	"github.com/gitboot/gitboot/rootfs/packages"
)

// rest is the group of configuration and state, which is in the highest layer.
const rest = "/"

// root gives what was kept of a tree to who reads package databases.
type root struct{ tree *unpacked.Tree }

func (r root) ReadFile(name string, limit int64) ([]byte, error) {
	n := r.tree.Follow(name)
	switch {
	case n == nil || n.IsDir():
		return nil, &fs.PathError{Op: "open", Path: "/" + name, Err: fs.ErrNotExist}
	case n.File.Size > limit:
		return nil, fmt.Errorf("it is larger than %d bytes", limit)
	case int64(len(n.File.Data())) != n.File.Size:
		return nil, errors.New("it is no file of a package database, or leads to none")
	}
	return n.File.Data(), nil
}

func (r root) ReadDir(name string) (names []string, err error) {
	if n := r.tree.Follow(name); n != nil && n.IsDir() {
		for _, child := range n.Sorted() {
			names = append(names, child.Name)
		}
	}
	return names, nil
}

// A grouping knows the group of each file. A name's mark is the number of the group of the
// package that owns it, plus one.
type grouping struct {
	names  []string // of groups
	number map[string]int32
	// linked are the groups of files of several names: they have one all the same.
	linked map[*unpacked.File]int32
	// packages say which versions of what a group is of.
	packages map[string]map[string]bool
}

// errNoPackages says that nothing can be grouped.
var errNoPackages = errors.New(`no package in the image is known to own a file (dpkg, rpm, pacman, apk and xbps are); take relayer = "packages" away`)

// group finds out who owns what.
func group(t *unpacked.Tree) (*grouping, error) {
	g := &grouping{
		number: map[string]int32{}, linked: map[*unpacked.File]int32{}, packages: map[string]map[string]bool{},
	}
	err := packages.Owners(root{t}, func(o packages.Owner, name string) {
		n := t.Lookup(name)
		if n == nil || n.IsDir() {
			return
		}
		number := g.called(o.Source)
		if before, owned := owner(n); !owned || g.names[before] > o.Source {
			n.Mark = number + 1
		}
		if g.packages[o.Source] == nil {
			g.packages[o.Source] = map[string]bool{}
		}
		g.packages[o.Source][o.Name+":"+o.Arch+"="+o.Version] = true
	})
	if err == nil && len(g.names) == 0 {
		err = errNoPackages
	}
	if err != nil {
		return nil, err
	}
	t.Forget() // the databases are read
	return g, nil
}

// owner is the number of the group of the package that owns a name, if one does.
func owner(n *unpacked.Node) (number int32, owned bool) { return n.Mark - 1, n.Mark > 0 }

// called is the number of a group.
func (g *grouping) called(name string) int32 {
	n, ok := g.number[name]
	if !ok {
		n = int32(len(g.names))
		g.names, g.number[name] = append(g.names, name), n
	}
	return n
}

// collect finds each group's size, and one group for each file of several names: that of
// the first, those of packages before others.
func (g *grouping) collect(t *unpacked.Tree) []Group {
	sizes := map[int32]int64{}
	each(t.Root(), func(n *unpacked.Node) {
		if n.IsDir() {
			return
		}
		number := g.of(n)
		if n.File.Names > 1 {
			before, ok := g.linked[n.File]
			if !ok || strings.HasPrefix(g.names[before], "/") && !strings.HasPrefix(g.names[number], "/") {
				g.linked[n.File] = number
			}
			if ok {
				return
			}
		}
		sizes[number] += n.File.Size
	})
	var out []Group
	for _, number := range slices.Sorted(maps.Keys(sizes)) {
		name := g.names[number]
		if name == rest {
			continue
		}
		out = append(out, Group{Name: name, Version: strings.Join(slices.Sorted(maps.Keys(g.packages[name])), " "), Size: sizes[number]})
	}
	return out
}

// final is a file's group, known after collect.
func (g *grouping) final(n *unpacked.Node) string {
	if number, ok := g.linked[n.File]; ok {
		return g.names[number]
	}
	return g.names[g.of(n)]
}

// of is the group that a name would have by itself.
func (g *grouping) of(n *unpacked.Node) int32 {
	name := n.Path()
	top, below, deep := strings.Cut(name, "/")
	if !deep || slices.Contains([]string{"etc", "var", "root", "run", "tmp"}, top) || isState(name) {
		return g.called(rest)
	}
	if number, owned := owner(n); owned {
		return number
	}
	if source := compiledFrom(n); source != nil {
		if number, owned := owner(source); owned {
			return number
		}
	}
	if next, _, deeper := strings.Cut(below, "/"); deeper {
		return g.called("/" + top + "/" + next)
	}
	return g.called("/" + top)
}

// isState reports whether a file below /usr changes with whatever is installed: package
// databases, and what some managers keep beside theirs.
func isState(name string) bool {
	return packages.IsDatabase(name) || strings.HasPrefix(name, "usr/lib/sysimage/")
}

// compiledFrom is what Python has compiled a file from, nil if it is none such: it changes
// with that, and packages do not list it.
func compiledFrom(n *unpacked.Node) *unpacked.Node {
	if n.Parent.Name != "__pycache__" || path.Ext(n.Name) != ".pyc" {
		return nil
	}
	module, _, _ := strings.Cut(n.Name, ".")
	return n.Parent.Parent.Child(module + ".py")
}

// each calls do for every name, folders before what is in them, sorted.
func each(n *unpacked.Node, do func(*unpacked.Node)) {
	do(n)
	for _, child := range n.Sorted() {
		each(child, do)
	}
}
