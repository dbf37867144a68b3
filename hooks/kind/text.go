package kind

import (
	"fmt"
	"strings"
	"unicode"
)

// notLine returns what keeps s from being a line of a configuration file.
func notLine(s string) string {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "is not a line of text"
	}
	return ""
}

// notWord returns what keeps s from being one word of such a line.
func notWord(s string) string {
	if s == "" || strings.ContainsFunc(s, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }) {
		return "is not one word"
	}
	return ""
}

// notDomain follows RFC 1123, section 2.1.
func notDomain(name string, limit int) string {
	if len(name) > limit {
		return fmt.Sprintf("is not a host name: it has more than %d bytes", limit)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label || strings.ContainsFunc(label, notHostByte) {
			return "is not a host name"
		}
	}
	return ""
}

func notHostByte(c rune) bool {
	return c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}
