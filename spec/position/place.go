package position

import (
	"fmt"
	"strings"
)

// A Place is one key of one file. It is made for every value, and says what
// it is called only when there is a problem.
type Place struct {
	File string
	Node *Node
	// Absent is a key that the table at node doesn't have.
	Absent string
}

// Line is 0 if the place is the whole file.
func (p Place) Line() int {
	if p.Node == nil {
		return 0
	}
	return p.Node.Line
}

// Key is the dotted path.
func (p Place) Key() string {
	switch {
	case p.Node == nil:
		return p.Absent
	case p.Absent == "":
		return p.Node.Key()
	}
	return join(p.Node.Key(), Shorten(p.Absent, 200))
}

// At returns the place of a key of the table at p. The line of an absent key
// is the table's.
func (p Place) At(key string) Place {
	if p.Node != nil && p.Absent == "" {
		if c := p.Node.Find(key); c != nil {
			return Place{File: p.File, Node: c}
		}
	}
	return Place{File: p.File, Node: p.Node, Absent: join(p.Absent, key)}
}

// Item returns the place of an element of the array at p.
func (p Place) Item(i int) Place {
	if p.Node != nil && i < len(p.Node.Items) {
		return Place{File: p.File, Node: p.Node.Items[i]}
	}
	return p
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line()) }

// Shorten bounds what is shown of a value.
func Shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
