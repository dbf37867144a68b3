package position

import (
	"fmt"
	"strings"
)

// A Place is one key of one file. It is made for every value, and says what
// it is called only when there is a problem.
type Place struct {
	doc  *document
	node uint32
	// absent is a key that the table at node doesn't have.
	absent string
}

// InFile is a whole file.
func InFile(file string) Place { return Place{doc: whole(file, 0)} }

// OnLine is a line of a file, and the key there, if it has one.
func OnLine(file string, line int, key string) Place {
	return Place{doc: whole(file, line), absent: key}
}

// File is "" for no place at all.
func (p Place) File() string {
	if p.doc == nil {
		return ""
	}
	return p.doc.file
}

// Line is 0 if the place is the whole file.
func (p Place) Line() int {
	if p.doc == nil {
		return 0
	}
	return int(p.doc.nodes[p.node].line)
}

// Key is the dotted path.
func (p Place) Key() string {
	switch {
	case p.doc == nil:
		return p.absent
	case p.absent == "":
		return p.doc.key(p.node)
	}
	return join(p.doc.key(p.node), Shorten(p.absent, 200))
}

// At returns the place of a key of the table at p. The line of an absent key
// is the table's.
func (p Place) At(key string) Place {
	if p.doc != nil && p.absent == "" {
		if n, ok := p.doc.find(p.node, key); ok {
			return Place{doc: p.doc, node: n}
		}
	}
	return Place{doc: p.doc, node: p.node, absent: join(p.absent, key)}
}

// Has reports whether the document has the key of the place.
func (p Place) Has() bool { return p.doc != nil && p.absent == "" }

// Items is how many elements the array at p has.
func (p Place) Items() int {
	if p.doc == nil {
		return 0
	}
	return int(p.doc.nodes[p.node].items)
}

// Item returns the place of an element of the array at p.
func (p Place) Item(i int) Place {
	if i < p.Items() {
		return Place{doc: p.doc, node: p.doc.nodes[p.node].first + uint32(i)}
	}
	return p
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File(), p.Line()) }

// Shorten bounds what is shown of a value.
func Shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
