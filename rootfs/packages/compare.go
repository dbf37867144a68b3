package packages

import (
	"cmp"
	"slices"
)

// An Op is what became of a package.
type Op string

// What can become of a package. Changed is a version that differs and that the
// system's rules do not order, or the same version for another architecture.
const (
	Upgraded   Op = "upgraded"
	Downgraded Op = "downgraded"
	Changed    Op = "changed"
	Added      Op = "added"
	Removed    Op = "removed"
)

// ops are in the order in which changes are shown.
func ops() []Op { return []Op{Upgraded, Downgraded, Changed, Added, Removed} }

// A Change is what became of one package. From or To is empty if it was added
// or removed.
type Change struct {
	Op   Op     `json:"change"`
	Name string `json:"name"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// String is the change in a few words, without its Op.
func (c Change) String() string {
	switch {
	case c.From == "":
		return c.Name + " " + c.To
	case c.To == "":
		return c.Name + " " + c.From
	}
	return c.Name + " " + c.From + " → " + c.To
}

// Compare returns what became of the packages before, in the order of ops and
// then of names. A package that is there once on both sides was changed; of
// those that are there several times, such as kernels, some came and some went.
func Compare(before, after []Package) []Change {
	type group struct {
		system System
		name   string
	}
	old, new := map[group][]Package{}, map[group][]Package{}
	names := map[group]bool{}
	for _, side := range []struct {
		packages []Package
		groups   map[group][]Package
	}{{before, old}, {after, new}} {
		for _, p := range side.packages {
			g := group{p.System, p.Name}
			names[g], side.groups[g] = true, append(side.groups[g], p)
		}
	}
	var out []Change
	for g := range names {
		out = append(out, compareGroup(old[g], new[g])...)
	}
	slices.SortFunc(out, func(a, b Change) int {
		return cmp.Or(cmp.Compare(slices.Index(ops(), a.Op), slices.Index(ops(), b.Op)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return out
}

// compareGroup compares the packages of one name. Where they are of several
// architectures, the name says which, as dpkg does.
func compareGroup(old, new []Package) (out []Change) {
	if len(old) == 1 && len(new) == 1 {
		return pair(old[0].Name, old[0], new[0])
	}
	archs := map[string]bool{}
	for _, p := range slices.Concat(old, new) {
		archs[p.Arch] = true
	}
	for arch := range archs {
		other := func(p Package) bool { return p.Arch != arch }
		a, b := slices.DeleteFunc(slices.Clone(old), other), slices.DeleteFunc(slices.Clone(new), other)
		name := slices.Concat(a, b)[0].Name
		if len(archs) > 1 {
			name += ":" + arch
		}
		if len(a) == 1 && len(b) == 1 {
			out = append(out, pair(name, a[0], b[0])...)
			continue
		}
		for _, p := range a {
			if !slices.Contains(b, p) {
				out = append(out, Change{Removed, name, p.Version, ""})
			}
		}
		for _, p := range b {
			if !slices.Contains(a, p) {
				out = append(out, Change{Added, name, "", p.Version})
			}
		}
	}
	return out
}

// pair compares the one package before with the one after.
func pair(name string, old, new Package) []Change {
	if old.Version == new.Version {
		if old.Arch == new.Arch {
			return nil
		}
		return []Change{{Changed, name, old.Version + " (" + old.Arch + ")", new.Version + " (" + new.Arch + ")"}}
	}
	op := Changed
	switch order(old.System, old.Version, new.Version) {
	case -1:
		op = Upgraded
	case 1:
		op = Downgraded
	}
	return []Change{{op, name, old.Version, new.Version}}
}
