// Package position finds where the keys and values of TOML documents are: the
// TOML library keeps that to itself.
package position

import (
	"fmt"
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
	// complete: a = …; there is no adding to it.
	complete
)

// few is how many keys are searched one by one: nearly all tables are small,
// and a map for each would cost more than all else here.
const few = 12

// find returns a key of a table, or false.
func (s *Scanner) find(table uint32, name string) (uint32, bool) {
	if names := s.many[table]; names != nil {
		n, ok := names[name]
		return n, ok
	}
	keys := s.found[table].keys
	for n, left := keys.first, keys.count; left > 0; n, left = s.found[n].next, left-1 {
		if s.found[n].name == name {
			return n, true
		}
	}
	return 0, false
}

// child returns a key of a table and adds it if need be.
func (s *Scanner) child(table uint32, name string, line int) uint32 {
	n, ok := s.find(table, name)
	if ok {
		return n
	}
	n = s.add(found{name: name, line: uint32(line), parent: table})
	keys := &s.found[table].keys
	s.link(keys, n)
	if names := s.many[table]; names != nil {
		names[name] = n
	} else if keys.count == few {
		s.index(table)
	}
	return n
}

// index finds a table's keys by a map from now on.
func (s *Scanner) index(table uint32) {
	names := make(map[string]uint32, 2*few)
	for _, n := range s.found[table].keys.appendTo(nil, s.found) {
		names[s.found[n].name] = n
	}
	if s.many == nil {
		s.many = map[uint32]map[string]uint32{}
	}
	s.many[table] = names
}

// element adds an element to an array.
func (s *Scanner) element(array uint32, line int) uint32 {
	n := s.add(found{line: uint32(line), parent: array})
	s.link(&s.found[array].items, n)
	return n
}

func (s *Scanner) add(f found) uint32 {
	s.found = append(s.found, f)
	return uint32(len(s.found) - 1)
}

func (s *Scanner) link(to *list, n uint32) {
	if to.count == 0 {
		to.first = n
	} else {
		s.found[to.last].next = n
	}
	to.last = n
	to.count++
}

// path is how many names lead to a node, and how long they are.
func (s *Scanner) path(n uint32) (names, length int) {
	for ; n != root; n = s.found[n].parent {
		if s.found[n].name != "" {
			names++
		}
		length += len(s.found[n].name)
	}
	return names, length
}

// A Repeat is a key that a document sets for the second time.
type Repeat struct {
	First Place
	Line  int // of the second
	node  uint32
}

// root is the node of the document.
const root uint32 = 0

// A Scanner finds the keys of a document. It accepts every valid TOML
// document (1.1 included) and many that are not: whether a document is valid
// is for the TOML library to say. Where the scanner cannot go on it stops,
// and there the library finds the error.
type Scanner struct {
	// Root is the place of the document.
	Root  Place
	Line  int
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

	src   string
	pos   int
	found []found
	many  map[uint32]map[string]uint32 // the keys of large tables
}

// usual is how many keys and elements most documents have at most.
const usual = 16

// Scan reads a document up to so many keys and elements.
func Scan(file, src string, most int) *Scanner {
	s := &Scanner{
		src: strings.TrimPrefix(src, "\xef\xbb\xbf"), Line: 1, Most: most,
		found: append(make([]found, 0, usual), found{line: 1}),
	}
	table := root
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
	s.arrange(file)
	return s
}

// arrange makes places of what was found, and forgets how.
func (s *Scanner) arrange(file string) {
	doc, places := arranged(file, s.found)
	s.Root = Place{doc: doc}
	for _, repeats := range [][]Repeat{s.Again, s.Added} {
		for i := range repeats {
			repeats[i].First = Place{doc: doc, node: places[repeats[i].node]}
		}
	}
	s.src, s.found, s.many = "", nil, nil
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
func (s *Scanner) header() (table uint32, ok bool) {
	line := s.Line
	s.eat("[")
	array := s.eat("[")
	key, ok := s.key()
	if s.Keys += len(key); s.Keys > s.Most {
		return root, false
	}
	if !ok || !s.eat("]") || array && !s.eat("]") {
		return root, false
	}
	n, late := root, false
	for i, part := range key {
		n = s.child(n, part, line)
		if final, made := i == len(key)-1, s.found[n].made; made == complete || final && made == byDots {
			late = true
			s.Added = append(s.Added, Repeat{node: n, Line: line})
		}
		if items := s.found[n].items; items.count > 0 && (i < len(key)-1 || !array) {
			n = items.last
		}
	}
	if s.found[n].made = byHeader; array {
		n = s.element(n, line)
		s.found[n].made = byHeader
		return n, true
	}
	if !late {
		s.mark(n, line)
	}
	return n, true
}

// through steps into the table that a key with dots defines or goes on with.
func (s *Scanner) through(n uint32, line int) {
	if made := &s.found[n].made; *made == implied || *made == byDots {
		*made = byDots
		return
	}
	s.Added = append(s.Added, Repeat{node: n, Line: line})
}

// mark notes that a node is set here, or was before.
func (s *Scanner) mark(n uint32, line int) {
	if s.found[n].set {
		s.Again = append(s.Again, Repeat{node: n, Line: line})
		return
	}
	s.found[n].set, s.found[n].line = true, uint32(line)
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
