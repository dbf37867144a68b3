package position

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// A document is where the keys and array elements of a TOML document are. It has the
// document's shape, and nothing in it that a garbage collector would follow: a fleet has
// hundreds of thousands of keys, whose places are kept for a problem that may never be
// told.
type document struct {
	file  string
	nodes []node // the root, then what each holds, side by side
	names string
}

// A node is the place of one key or element.
type node struct {
	line, parent uint32
	name, length uint32 // of a key, in the names
	// first is the first of its elements, which its keys follow, by name.
	first, items, keys uint32
}

// whole is a document of which nothing is known but a line, 0 for none.
func whole(file string, line int) *document {
	return &document{file: file, nodes: []node{{line: uint32(line)}}}
}

func (d *document) name(n uint32) string {
	at := d.nodes[n]
	return d.names[at.name : at.name+at.length]
}

// find returns a key of a table, or false.
func (d *document) find(table uint32, name string) (uint32, bool) {
	first := d.nodes[table].first + d.nodes[table].items
	nth, ok := slices.BinarySearchFunc(d.nodes[first:first+d.nodes[table].keys], name, func(n node, name string) int {
		return cmp.Compare(d.names[n.name:n.name+n.length], name)
	})
	return first + uint32(nth), ok
}

// key is the dotted path of a node.
func (d *document) key(n uint32) string {
	if n == 0 {
		return ""
	}
	parent := d.nodes[n].parent
	if nth := n - d.nodes[parent].first; nth < d.nodes[parent].items {
		return d.key(parent) + "[" + strconv.Itoa(int(nth)) + "]"
	}
	return join(d.key(parent), Shorten(d.name(n), 80))
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}

// A found is a key or an element while the document is read.
type found struct {
	name         string
	line, parent uint32
	next         uint32 // in the same table or array
	items, keys  list
	// set: by a key or header of its own, not only as part of a longer one.
	set bool
	// made is by what the table was defined, if it was.
	made definition
}

type list struct{ first, last, count uint32 }

// arranged puts what was found side by side, and says where each is now.
func arranged(file string, all []found) (d *document, places []uint32) {
	d = &document{file: file, nodes: make([]node, len(all))}
	places = make([]uint32, len(all))
	order := make([]uint32, 1, len(all))
	length := 0
	for i := range all {
		length += len(all[i].name)
	}
	var names strings.Builder
	names.Grow(length)
	for at := range d.nodes {
		from := &all[order[at]]
		places[order[at]] = uint32(at)
		d.nodes[at] = node{
			line: from.line, parent: places[from.parent],
			name: uint32(names.Len()), length: uint32(len(from.name)),
			first: uint32(len(order)), items: from.items.count, keys: from.keys.count,
		}
		names.WriteString(from.name)
		order = from.items.appendTo(order, all)
		keys := len(order)
		order = from.keys.appendTo(order, all)
		slices.SortFunc(order[keys:], func(a, b uint32) int { return cmp.Compare(all[a].name, all[b].name) })
	}
	d.names = names.String()
	return d, places
}

func (l list) appendTo(order []uint32, all []found) []uint32 {
	for n, left := l.first, l.count; left > 0; n, left = all[n].next, left-1 {
		order = append(order, n)
	}
	return order
}
