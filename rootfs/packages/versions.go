package packages

import (
	"cmp"
	"strings"
)

// order compares two versions by a system's rules: -1 if a is older. 0 is for
// versions that the rules do not tell apart, or do not know.
func order(system System, a, b string) int {
	switch system {
	case Dpkg:
		return orderDpkg(a, b)
	case RPM:
		return orderEVR(a, b, orderRPM)
	case Pacman:
		return orderEVR(a, b, orderAlpm)
	case Apk:
		return orderApk(a, b)
	case Xbps:
		return orderXbps(a, b)
	}
	return 0
}

// orderDpkg is Debian Policy's, chapter 5.6.12: epoch, upstream version,
// revision.
func orderDpkg(a, b string) int {
	split := func(v string) (epoch, upstream, revision string) {
		if i := strings.IndexByte(v, ':'); i >= 0 {
			epoch, v = v[:i], v[i+1:]
		}
		if i := strings.LastIndexByte(v, '-'); i >= 0 {
			return epoch, v[:i], v[i+1:]
		}
		return epoch, v, ""
	}
	epochA, upstreamA, revisionA := split(a)
	epochB, upstreamB, revisionB := split(b)
	return cmp.Or(orderNumbers(epochA, epochB), orderDebian(upstreamA, upstreamB), orderDebian(revisionA, revisionB))
}

// orderDebian compares by turns what is no digit, letters first and ~ before
// the end, and numbers.
func orderDebian(a, b string) int {
	for a != "" || b != "" {
		var textA, textB, numberA, numberB string
		textA, a = cut(a, isNoDigit)
		textB, b = cut(b, isNoDigit)
		for i := range max(len(textA), len(textB)) {
			if o := cmp.Compare(weight(textA, i), weight(textB, i)); o != 0 {
				return o
			}
		}
		numberA, a = cut(a, isDigit)
		numberB, b = cut(b, isDigit)
		if o := orderNumbers(numberA, numberB); o != 0 {
			return o
		}
	}
	return 0
}

func weight(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case isLetter(s[i]):
		return int(s[i])
	}
	return int(s[i]) + 256
}

// orderEVR compares epoch:version-release. A side without a release matches
// any.
func orderEVR(a, b string, order func(a, b string) int) int {
	split := func(v string) (epoch, version, release string) {
		if number, rest := cut(v, isDigit); strings.HasPrefix(rest, ":") {
			epoch, v = number, rest[1:]
		}
		if i := strings.LastIndexByte(v, '-'); i >= 0 {
			return epoch, v[:i], v[i+1:]
		}
		return epoch, v, ""
	}
	epochA, versionA, releaseA := split(a)
	epochB, versionB, releaseB := split(b)
	if o := cmp.Or(orderNumbers(epochA, epochB), order(versionA, versionB)); o != 0 || releaseA == "" || releaseB == "" {
		return o
	}
	return order(releaseA, releaseB)
}

// orderRPM is rpm's: numbers and words by turns, a number newer than a word, ~
// before and ^ after the end.
func orderRPM(a, b string) int {
	separator := func(c byte) bool { return !isDigit(c) && !isLetter(c) && c != '~' && c != '^' }
	for {
		_, a = cut(a, separator)
		_, b = cut(b, separator)
		tildeA, tildeB := strings.HasPrefix(a, "~"), strings.HasPrefix(b, "~")
		caretA, caretB := strings.HasPrefix(a, "^"), strings.HasPrefix(b, "^")
		switch {
		case tildeA && tildeB, caretA && caretB:
			a, b = a[1:], b[1:]
			continue
		case tildeA || (caretB && a == ""):
			return -1
		case tildeB || (caretA && b == ""):
			return 1
		case caretA:
			return -1
		case caretB:
			return 1
		case a == "" || b == "":
			return cmp.Compare(len(a), len(b))
		}
		var o int
		if o, a, b = orderSegments(a, b); o != 0 {
			return o
		}
	}
}

// orderSegments compares and takes off the first number or word, of the kind
// that a begins with.
func orderSegments(a, b string) (order int, restA, restB string) {
	kind := isLetter
	if isDigit(a[0]) {
		kind = isDigit
	}
	wordA, restA := cut(a, kind)
	wordB, restB := cut(b, kind)
	switch {
	case wordB == "" && isDigit(a[0]):
		return 1, restA, restB
	case wordB == "":
		return -1, restA, restB
	case isDigit(a[0]):
		return orderNumbers(wordA, wordB), restA, restB
	}
	return strings.Compare(wordA, wordB), restA, restB
}

// orderAlpm is pacman's: rpm's of old, where longer separators are newer, and a
// word that is left over means a version before the release.
func orderAlpm(a, b string) int {
	separator := func(c byte) bool { return !isDigit(c) && !isLetter(c) }
	for a != "" && b != "" {
		var gapA, gapB string
		gapA, a = cut(a, separator)
		gapB, b = cut(b, separator)
		if a == "" || b == "" {
			break
		}
		if len(gapA) != len(gapB) {
			return cmp.Compare(len(gapA), len(gapB))
		}
		var o int
		if o, a, b = orderSegments(a, b); o != 0 {
			return o
		}
	}
	switch {
	case a == "" && b == "":
		return 0
	case a == "" && !isLetter(b[0]), a != "" && isLetter(a[0]):
		return -1
	}
	return 1
}

// orderNumbers compares decimal numbers of any length; none is zero.
func orderNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// cut splits s after the bytes at its beginning that are of a kind.
func cut(s string, kind func(byte) bool) (first, rest string) {
	i := 0
	for i < len(s) && kind(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func isDigit(c byte) bool   { return '0' <= c && c <= '9' }
func isNoDigit(c byte) bool { return !isDigit(c) }
func isLetter(c byte) bool  { return 'a' <= c|0x20 && c|0x20 <= 'z' }
