package lvm

import (
	"errors"
	"fmt"
	"strconv"
)

// maxDepth is more than metadata nest.
const maxDepth = 8

// A section is what is between braces, in the form of lvm.conf(5).
type section struct {
	values   map[string]any // string, int64, []any of these
	sections map[string]*section
}

func newSection() *section {
	return &section{values: map[string]any{}, sections: map[string]*section{}}
}

// A scanner reads the text. What is after its end are zeros.
type scanner struct {
	text []byte
	at   int
}

func parseText(text []byte) (*section, error) {
	s := &scanner{text: text}
	root := newSection()
	if err := s.section(root, 0); err != nil {
		return nil, fmt.Errorf("LVM's metadata at byte %d: %w", s.at, err)
	}
	return root, nil
}

// section reads until the brace that ends it, or the text's end.
func (s *scanner) section(into *section, depth int) error {
	for {
		switch c := s.next(); {
		case c == 0 && depth == 0:
			return nil
		case c == '}' && depth > 0:
			s.at++
			return nil
		case depth == maxDepth:
			return errors.New("it is nested too deeply")
		}
		name := s.word()
		if name == "" {
			return errors.New("there is no name where one should be")
		}
		switch s.next() {
		case '{':
			s.at++
			inner := newSection()
			into.sections[name] = inner
			if err := s.section(inner, depth+1); err != nil {
				return err
			}
		case '=':
			s.at++
			v, err := s.value()
			if err != nil {
				return err
			}
			into.values[name] = v
		default:
			return fmt.Errorf("%.40q has no value", name)
		}
	}
}

// next passes white space and comments, and returns the byte after them.
func (s *scanner) next() byte {
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n':
		case '#':
			for s.at+1 < len(s.text) && s.text[s.at+1] != '\n' {
				s.at++
			}
		default:
			return c
		}
	}
	return 0
}

// word is what names may be made of.
func (s *scanner) word() string {
	from := s.at
	for s.at < len(s.text) {
		c := s.text[s.at]
		if notID(rune(c)) && c != '_' && c != '-' && c != '.' && c != '+' && c != '/' {
			break
		}
		s.at++
	}
	return string(s.text[from:s.at])
}

func (s *scanner) value() (any, error) {
	if s.next() != '[' {
		return s.scalar()
	}
	s.at++
	list := []any{}
	for s.next() != ']' {
		v, err := s.scalar()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if s.next() == ',' {
			s.at++
		}
	}
	s.at++
	return list, nil
}

func (s *scanner) scalar() (any, error) {
	if s.next() == '"' {
		return s.quoted()
	}
	word := s.word()
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%.40q is neither a number nor in quotes", word)
	}
	return n, nil
}

func (s *scanner) quoted() (string, error) {
	var out []byte
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; c {
		case '"':
			s.at++
			return string(out), nil
		case '\\':
			if s.at++; s.at < len(s.text) {
				out = append(out, s.text[s.at])
			}
		default:
			out = append(out, c)
		}
	}
	return "", errors.New("a quote has no end")
}

func (s *section) text(name string) string {
	v, _ := s.values[name].(string)
	return v
}

// number is a value, or -1, which nothing has.
func (s *section) number(name string) int64 {
	if v, ok := s.values[name].(int64); ok {
		return v
	}
	return -1
}

// has reports whether a list of words has one.
func (s *section) has(name, word string) bool {
	list, _ := s.values[name].([]any)
	for _, v := range list {
		if v == word {
			return true
		}
	}
	return false
}
