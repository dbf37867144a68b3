// Package plain makes text of strangers, such as the output of a build, fit to
// be shown: nothing in it moves the cursor, changes colours or hides what it
// says.
package plain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns the text as one line: escape sequences and whatever cannot be
// seen are taken out, tabs and line ends become spaces. Of a line that was
// written over by means of carriage returns, as progress bars are, it returns
// what was written last.
func Line(s string) string {
	s = strings.TrimRight(s, "\r\n")
	s = s[strings.LastIndexByte(s, '\r')+1:]
	var b strings.Builder
	for len(s) > 0 {
		if n := escape(s); n > 0 {
			s = s[n:]
			continue
		}
		r, n := utf8.DecodeRuneInString(s)
		s = s[n:]
		switch {
		case r == '\t' || r == '\n':
			b.WriteByte(' ')
		case r == utf8.RuneError && n == 1:
			b.WriteByte('?')
		case unicode.IsGraphic(r): // neither control characters nor marks that turn the direction round
			b.WriteRune(r)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// escape returns the length of the escape sequence that s begins with, 0 if it
// begins with none (ECMA-48, 5.3 to 5.6).
func escape(s string) int {
	intro, n := utf8.DecodeRuneInString(s)
	if intro == 0x1b && len(s) > 1 {
		intro, n = rune(s[1])+0x40, 2 // the form of two 7-bit characters
	}
	switch {
	case intro == 0x9b: // control sequence: parameters, then one final byte
		for i := n; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
			if s[i] < 0x20 || s[i] > 0x7e {
				return i
			}
		}
		return len(s)
	case intro == 0x90 || intro == 0x98 || intro >= 0x9d && intro <= 0x9f: // strings, up to their terminator
		for i := n; i < len(s); i++ {
			if s[i] == 0x07 {
				return i + 1
			}
			if strings.HasPrefix(s[i:], "\x1b\\") || strings.HasPrefix(s[i:], "\u009c") {
				return i + 2
			}
		}
		return len(s)
	}
	if s[0] == 0x1b {
		return n
	}
	return 0
}

// Cut shortens a line to a terminal's columns. Where it is not certain how
// wide a character is drawn, the larger width is taken: a line never wraps.
func Cut(s string, columns int) string {
	used, end := 0, 0 // end is where a mark of the cut still fits
	for i, r := range s {
		w := columnsOf(r)
		if used+w > columns {
			return s[:end] + "…"[:len("…")*min(columns, 1)]
		}
		if used += w; used < columns {
			end = i + utf8.RuneLen(r)
		}
	}
	return s
}

func columnsOf(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100: // from here on there are wide characters
		return 2
	}
	return 1
}

// First is a text's first line.
func First(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
