// Package position finds where the keys and values of TOML documents are: the
// TOML library keeps that to itself.
package position

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxDepth bounds how deeply arrays, inline tables and dotted keys may nest.
// The TOML library recurses without a limit, and a Go stack overflow cannot
// be recovered from, so the bound is checked before it sees a document.
const maxDepth = 32

// maxKey bounds a key with its dots, and maxPath that with the tables around it:
// the library writes it out for each value below it.
const (
	maxKey  = 256
	maxPath = 512
)

var nestsTooDeep = fmt.Sprintf("nests more than %d deep", maxDepth)

// A Node is the place of one key or array element in a TOML document. The
// tree has the document's shape, so that a problem with any value can name
// its line; the TOML library keeps positions to itself.
type Node struct {
	Line   int
	parent *Node
	name   string // of a key
	nth    int    // of an array's element
	keys   []*Node
	Items  []*Node
	// byName finds a key once there are many.
	byName map[string]*Node
	// set: by a key or header of its own, not only as part of a longer one.
	set bool
	// made is by what the table was defined, if it was.
	made definition
}

// A definition is how a table comes into being, which decides what may be
// added to it (TOML 1.0.0, "Table" and "Inline Table").
type definition uint8

const (
	// implied tables are only named in the headers of tables below them.
	implied definition = iota
	// byHeader: [a], or an element of [[a]].
	byHeader
	// byDots: b in a.b.c = …; more keys with dots may follow, and headers of
	// tables below it, but none of its own.
	byDots
	// whole: a = …; there is no adding to it.
	whole
)

// few is how many keys are searched one by one: nearly all tables are small,
// and a map for each would cost more than all else here.
const few = 12

// Find returns a key of a table, or nil.
func (n *Node) Find(name string) *Node {
	if n.byName != nil {
		return n.byName[name]
	}
	for _, c := range n.keys {
		if c.name == name {
			return c
		}
	}
	return nil
}

// child returns a key of a table and adds it if need be.
func (n *Node) child(name string, line int) *Node {
	if c := n.Find(name); c != nil {
		return c
	}
	c := &Node{Line: line, parent: n, name: name}
	n.keys = append(n.keys, c)
	if len(n.keys) == few {
		n.byName = make(map[string]*Node, 2*few)
		for _, c := range n.keys {
			n.byName[c.name] = c
		}
	} else if n.byName != nil {
		n.byName[name] = c
	}
	return c
}

// element adds an element to an array.
func (n *Node) element(line int) *Node {
	c := &Node{Line: line, parent: n, nth: len(n.Items)}
	n.Items = append(n.Items, c)
	return c
}

// Key is the dotted path of a node.
func (n *Node) Key() string {
	switch {
	case n.parent == nil:
		return ""
	case n.name == "" && n.nth < len(n.parent.Items) && n.parent.Items[n.nth] == n:
		return n.parent.Key() + "[" + strconv.Itoa(n.nth) + "]"
	}
	return join(n.parent.Key(), Shorten(n.name, 80))
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}

// path is how many names lead to a node, and how long they are.
func (n *Node) path() (names, length int) {
	for ; n != nil; n = n.parent {
		if n.name != "" {
			names++
		}
		length += len(n.name)
	}
	return names, length
}

// A Repeat is a key that a document sets for the second time.
type Repeat struct {
	Node *Node // of the first
	Line int   // of the second
}

// A Scanner builds the nodes of a document. It accepts every valid TOML
// document (1.1 included) and many that are not: whether a document is valid
// is for the TOML library to say. Where the scanner cannot go on it stops,
// and there the library finds the error.
type Scanner struct {
	src   string
	pos   int
	Line  int
	Root  *Node
	Again []Repeat
	// Added are tables that something is added to after they were complete,
	// which the TOML library merges.
	Added []Repeat
	// Refused is what cannot be read, on the scanner's line.
	Refused string
	// Keys counts keys and elements, those that are there twice too, and deep
	// ones several times: the library keeps each with its path. The scanner
	// stops when there are more than most.
	Keys, Most int
}

// Scan reads a document up to so many keys and elements.
func Scan(src string, most int) *Scanner {
	s := &Scanner{src: strings.TrimPrefix(src, "\xef\xbb\xbf"), Line: 1, Root: &Node{Line: 1}, Most: most}
	table := s.Root
	for s.skip(true) {
		ok := true
		if s.src[s.pos] == '[' {
			table, ok = s.header()
		} else {
			ok = s.assignment(table, 0)
		}
		if !ok {
			break
		}
	}
	return s
}

// skip passes over white space and, if lines, over newlines and comments. It
// returns false at the end of the document.
func (s *Scanner) skip(lines bool) bool {
	for ; s.pos < len(s.src); s.pos++ {
		switch c := s.src[s.pos]; {
		case c == ' ' || c == '\t' || c == '\r':
		case c == '\n' && lines:
			s.Line++
		case c == '#' && lines:
			if end := strings.IndexByte(s.src[s.pos:], '\n'); end >= 0 {
				s.pos += end - 1
			} else {
				s.pos = len(s.src) - 1
			}
		default:
			return true
		}
	}
	return false
}

func (s *Scanner) eat(token string) bool {
	if strings.HasPrefix(s.src[s.pos:], token) {
		s.pos += len(token)
		return true
	}
	return false
}

// header reads [a.b] or [[a.b]] and returns the table that it opens.
func (s *Scanner) header() (table *Node, ok bool) {
	line := s.Line
	s.eat("[")
	array := s.eat("[")
	key, ok := s.key()
	if s.Keys += len(key); s.Keys > s.Most {
		return nil, false
	}
	if !ok || !s.eat("]") || array && !s.eat("]") {
		return nil, false
	}
	n, late := s.Root, false
	for i, part := range key {
		n = n.child(part, line)
		if final := i == len(key)-1; n.made == whole || final && n.made == byDots {
			late = true
			s.Added = append(s.Added, Repeat{Node: n, Line: line})
		}
		if last := len(n.Items); last > 0 && (i < len(key)-1 || !array) {
			n = n.Items[last-1]
		}
	}
	if n.made = byHeader; array {
		n = n.element(line)
		n.made = byHeader
		return n, true
	}
	if !late {
		s.mark(n, line)
	}
	return n, true
}

// through steps into the table that a key with dots defines or goes on with.
func (s *Scanner) through(n *Node, line int) {
	if n.made != implied && n.made != byDots {
		s.Added = append(s.Added, Repeat{Node: n, Line: line})
		return
	}
	n.made = byDots
}

// mark notes that n is set here, or was before.
func (s *Scanner) mark(n *Node, line int) {
	if n.set {
		s.Again = append(s.Again, Repeat{Node: n, Line: line})
		return
	}
	n.set, n.Line = true, line
}

func (s *Scanner) refuse(what string) bool {
	s.Refused = what
	return false
}

// key reads a dotted key and the white space after it.
func (s *Scanner) key() ([]string, bool) {
	var parts []string
	length := 0
	for s.skip(false) {
		part, ok := s.keyPart()
		if !ok {
			return nil, false
		}
		parts, length = append(parts, part), length+len(part)
		if len(parts) > maxDepth {
			return nil, s.refuse(nestsTooDeep)
		}
		if length > maxKey {
			return nil, s.refuse(fmt.Sprintf("has a key of more than %d bytes", maxKey))
		}
		if !s.skip(false) || !s.eat(".") {
			return parts, true
		}
	}
	return nil, false
}

func (s *Scanner) keyPart() (string, bool) {
	start := s.pos
	if c := s.src[s.pos]; c == '"' || c == '\'' {
		if !s.quoted(string(c)) {
			return "", false
		}
		raw := s.src[start:s.pos]
		if !strings.Contains(raw, `\`) {
			return raw[1 : len(raw)-1], true
		}
		var doc struct{ K string }
		_, err := toml.Decode("K = "+raw, &doc)
		return doc.K, err == nil
	}
	for s.pos < len(s.src) && !strings.ContainsRune(" \t\r\n.=[]{}#,\"'", rune(s.src[s.pos])) {
		s.pos++
	}
	return s.src[start:s.pos], s.pos > start
}
