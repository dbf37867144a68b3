package tarfs

import (
	"slices"
	"strings"
)

// A folder is what is in a directory, sorted by name: a layer has hundreds of thousands
// of names, and a map takes four times as much for each. Most come in order. Where none
// does, moving the others is little of what a folder of so many costs tar2sqfs.
type folder struct{ list []*node }

// nodes are sorted by name. What is no directory has none.
func (f *folder) nodes() []*node {
	if f == nil {
		return nil
	}
	return f.list
}

func (f *folder) find(name string) (int, bool) {
	return slices.BinarySearchFunc(f.nodes(), name, func(n *node, name string) int { return strings.Compare(n.name, name) })
}

// child is nil if there is none of the name.
func (f *folder) child(name string) *node {
	i, found := f.find(name)
	if !found {
		return nil
	}
	return f.list[i]
}

// put adds a node, in the place of one of its name.
func (f *folder) put(n *node) {
	i, found := f.find(n.name)
	if found {
		f.list[i] = n
		return
	}
	f.list = slices.Insert(f.list, i, n)
}

func (f *folder) drop(name string) {
	if i, found := f.find(name); found {
		f.list = slices.Delete(f.list, i, i+1)
	}
}
