package spec

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxDepth bounds how deeply arrays, inline tables and dotted keys may nest.
// The TOML library recurses without a limit, and a Go stack overflow cannot
// be recovered from, so the bound is checked before it sees a document.
const maxDepth = 64

// maxKey bounds a key with its dots: the library writes it out for each value
// below it.
const maxKey = 256

var nestsTooDeep = fmt.Sprintf("nests more than %d deep", maxDepth)

// A node is the place of one key or array element in a TOML document. The
// tree has the document's shape, so that a problem with any value can name
// its line; the TOML library keeps positions to itself.
type node struct {
	line   int
	parent *node
	name   string // of a key
	nth    int    // of an array's element
	keys   []*node
	items  []*node
	// byName finds a key once there are many.
	byName map[string]*node
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

// find returns a key of a table, or nil.
func (n *node) find(name string) *node {
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
func (n *node) child(name string, line int) *node {
	if c := n.find(name); c != nil {
		return c
	}
	c := &node{line: line, parent: n, name: name}
	n.keys = append(n.keys, c)
	if len(n.keys) == few {
		n.byName = make(map[string]*node, 2*few)
		for _, c := range n.keys {
			n.byName[c.name] = c
		}
	} else if n.byName != nil {
		n.byName[name] = c
	}
	return c
}

// element adds an element to an array.
func (n *node) element(line int) *node {
	c := &node{line: line, parent: n, nth: len(n.items)}
	n.items = append(n.items, c)
	return c
}

// key is the dotted path of a node.
func (n *node) key() string {
	switch {
	case n.parent == nil:
		return ""
	case n.name == "" && n.nth < len(n.parent.items) && n.parent.items[n.nth] == n:
		return n.parent.key() + "[" + strconv.Itoa(n.nth) + "]"
	}
	return join(n.parent.key(), shorten(n.name, 80))
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}

// A repeat is a key that a document sets for the second time.
type repeat struct {
	node *node // of the first
	line int   // of the second
}

// A scanner builds the nodes of a document. It accepts every valid TOML
// document (1.1 included) and many that are not: whether a document is valid
// is for the TOML library to say. Where the scanner cannot go on it stops,
// and there the library finds the error.
type scanner struct {
	src   string
	pos   int
	line  int
	root  *node
	again []repeat
	// added are tables that something is added to after they were complete,
	// which the TOML library merges.
	added []repeat
	// refused is what cannot be read, on the scanner's line.
	refused string
	// keys counts keys and elements, those that are there twice too. The
	// scanner stops when there are more than most.
	keys, most int
}

func scan(src string, most int) *scanner {
	s := &scanner{src: strings.TrimPrefix(src, "\xef\xbb\xbf"), line: 1, root: &node{line: 1}, most: most}
	table := s.root
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
func (s *scanner) skip(lines bool) bool {
	for ; s.pos < len(s.src); s.pos++ {
		switch c := s.src[s.pos]; {
		case c == ' ' || c == '\t' || c == '\r':
		case c == '\n' && lines:
			s.line++
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

func (s *scanner) eat(token string) bool {
	if strings.HasPrefix(s.src[s.pos:], token) {
		s.pos += len(token)
		return true
	}
	return false
}

// header reads [a.b] or [[a.b]] and returns the table that it opens.
func (s *scanner) header() (table *node, ok bool) {
	line := s.line
	s.eat("[")
	array := s.eat("[")
	key, ok := s.key()
	if s.keys += len(key); s.keys > s.most {
		return nil, false
	}
	if !ok || !s.eat("]") || array && !s.eat("]") {
		return nil, false
	}
	n, late := s.root, false
	for i, part := range key {
		n = n.child(part, line)
		if final := i == len(key)-1; n.made == whole || final && n.made == byDots {
			late = true
			s.added = append(s.added, repeat{node: n, line: line})
		}
		if last := len(n.items); last > 0 && (i < len(key)-1 || !array) {
			n = n.items[last-1]
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
func (s *scanner) through(n *node, line int) {
	if n.made != implied && n.made != byDots {
		s.added = append(s.added, repeat{node: n, line: line})
		return
	}
	n.made = byDots
}

// mark notes that n is set here, or was before.
func (s *scanner) mark(n *node, line int) {
	if n.set {
		s.again = append(s.again, repeat{node: n, line: line})
		return
	}
	n.set, n.line = true, line
}

func (s *scanner) refuse(what string) bool {
	s.refused = what
	return false
}

// key reads a dotted key and the white space after it.
func (s *scanner) key() ([]string, bool) {
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

func (s *scanner) keyPart() (string, bool) {
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
