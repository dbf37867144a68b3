package position

import (
	"fmt"
	"strings"
)

// assignment reads key = value into table.
func (s *Scanner) assignment(table uint32, depth int) bool {
	line := s.Line
	key, ok := s.key()
	if s.Keys += len(key); !ok || !s.eat("=") || s.Keys > s.Most {
		return false
	}
	n := table
	for i, part := range key {
		if n = s.child(n, part, line); i < len(key)-1 {
			s.through(n, line)
		}
	}
	names, length := s.path(n)
	if s.Keys += names / 6; length > maxPath {
		return s.refuse(fmt.Sprintf("has a key of more than %d bytes, with the tables that it is in", maxPath))
	}
	s.mark(n, line)
	if s.found[n].made != implied {
		s.Added = append(s.Added, Repeat{node: n, Line: line})
	}
	s.found[n].made = complete
	return s.value(n, depth)
}

// value reads one value into n.
func (s *Scanner) value(n uint32, depth int) bool {
	if depth > maxDepth {
		return s.refuse(nestsTooDeep)
	}
	if !s.skip(false) {
		return false
	}
	switch s.src[s.pos] {
	case '"', '\'':
		quote := s.src[s.pos : s.pos+1]
		if strings.HasPrefix(s.src[s.pos:], strings.Repeat(quote, 3)) {
			return s.quotedLines(quote)
		}
		return s.quoted(quote)
	case '[':
		return s.list(']', func() bool {
			if s.Keys++; s.Keys > s.Most {
				return false
			}
			return s.value(s.element(n, s.Line), depth+1)
		})
	case '{':
		return s.list('}', func() bool { return s.assignment(n, depth+1) })
	}
	start := s.pos
	for s.pos < len(s.src) && !strings.ContainsRune(",]}#\n", rune(s.src[s.pos])) {
		s.pos++
	}
	return s.pos > start
}

// list reads an array or inline table from its opening bracket on.
func (s *Scanner) list(closing byte, element func() bool) bool {
	for s.pos++; s.skip(true); {
		if s.src[s.pos] == closing {
			s.pos++
			return true
		}
		if !element() || !s.skip(true) {
			return false
		}
		if !s.eat(",") && s.src[s.pos] != closing {
			return false
		}
	}
	return false
}

// quoted passes over a string on one line.
func (s *Scanner) quoted(quote string) bool {
	for s.pos++; s.pos < len(s.src) && s.src[s.pos] != '\n'; s.pos++ {
		switch {
		case s.src[s.pos] == quote[0]:
			s.pos++
			return true
		case s.src[s.pos] == '\\' && quote == `"`:
			s.pos++
		}
	}
	return false
}

// quotedLines passes over a string in three quotes. One or two quotes right
// before the closing three are content.
func (s *Scanner) quotedLines(quote string) bool {
	end := strings.Repeat(quote, 3)
	for s.pos += 3; s.pos < len(s.src); s.pos++ {
		switch {
		case s.src[s.pos] == '\n':
			s.Line++
		case s.src[s.pos] == '\\' && quote == `"`:
			if s.pos++; s.pos < len(s.src) && s.src[s.pos] == '\n' {
				s.Line++
			}
		case s.eat(end):
			for extra := 0; extra < 2 && s.eat(quote); extra++ {
			}
			return true
		}
	}
	return false
}
