package initramfs

import (
	"cmp"
	"strings"
)

// compareVersions orders versions as Debian does (deb-version(7)): text and
// numbers in turn; in text a tilde sorts before the end, the end before
// letters, letters before all else.
func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var ta, tb, na, nb string
		ta, a = cut(a, false)
		tb, b = cut(b, false)
		if c := compareText(ta, tb); c != 0 {
			return c
		}
		na, a = cut(a, true)
		nb, b = cut(b, true)
		na, nb = strings.TrimLeft(na, "0"), strings.TrimLeft(nb, "0")
		if c := cmp.Or(cmp.Compare(len(na), len(nb)), cmp.Compare(na, nb)); c != 0 {
			return c
		}
	}
	return 0
}

// cut splits off the leading digits, or what is before them.
func cut(s string, digits bool) (head, rest string) {
	i := 0
	for i < len(s) && ('0' <= s[i] && s[i] <= '9') == digits {
		i++
	}
	return s[:i], s[i:]
}

func compareText(a, b string) int {
	for i := range max(len(a), len(b)) {
		if c := cmp.Compare(weight(a, i), weight(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

func weight(s string, i int) int {
	if i >= len(s) {
		return 0
	}
	c := int(s[i])
	switch {
	case c == '~':
		return -1
	case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
		return c
	}
	return c + 256
}
