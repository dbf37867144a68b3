// Package check says what is wrong with single values of hooks: paths, lines,
// scripts, keys. Who declares and who renders a hook ask the same functions.
package check

import (
	"fmt"
	"strings"
	"unicode"
)

// NotLine returns what keeps s from being a line of a configuration file.
func NotLine(s string) string {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "is not a line of text"
	}
	return ""
}

// NotWord returns what keeps s from being one word of such a line.
func NotWord(s string) string {
	if s == "" || strings.ContainsFunc(s, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }) {
		return "is not one word"
	}
	return ""
}

// NotDomain follows RFC 1123, section 2.1.
func NotDomain(name string, limit int) string {
	if len(name) > limit {
		return fmt.Sprintf("is not a host name: it has more than %d bytes", limit)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label || strings.ContainsFunc(label, NotHostByte) {
			return "is not a host name"
		}
	}
	return ""
}

func NotHostByte(c rune) bool {
	return c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}
