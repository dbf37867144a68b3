package packages

import (
	"cmp"
	"slices"
	"strings"
)

// The parts of apk's version, in the order of their ranks: where one version
// has another part than the other, the one whose part comes first here is the
// newer, but for suffixes that mean a version before the release.
const (
	apkNumber = iota
	apkLetter
	apkSuffix
	apkSuffixNumber
	apkCommit
	apkRevision
	apkEnd
)

type apkPart struct {
	kind int
	text string
}

// orderApk compares versions of the form 1.2.3a_rc1~commit-r4. Others are not
// ordered.
func orderApk(a, b string) int {
	partsA, okA := apkParts(a)
	partsB, okB := apkParts(b)
	if !okA || !okB {
		return 0
	}
	for i := range min(len(partsA), len(partsB)) {
		x, y := partsA[i], partsB[i]
		if x.kind != y.kind {
			return cmp.Or(-before(x)+before(y), cmp.Compare(y.kind, x.kind))
		}
		if o := orderApkPart(x, y, i > 0); o != 0 {
			return o
		}
	}
	return 0
}

// before is 1 if a part means a version before the release.
func before(p apkPart) int {
	if p.kind == apkSuffix && apkRank(p.text) < 0 {
		return 1
	}
	return 0
}

// apkRank is negative for suffixes of versions before the release, positive
// for those after it, 0 for what is no suffix.
func apkRank(suffix string) int {
	if i := slices.Index([]string{"alpha", "beta", "pre", "rc"}, suffix); i >= 0 {
		return i - 4
	}
	return slices.Index([]string{"cvs", "svn", "git", "hg", "p"}, suffix) + 1
}

func orderApkPart(x, y apkPart, later bool) int {
	switch x.kind {
	case apkNumber:
		if later && (strings.HasPrefix(x.text, "0") || strings.HasPrefix(y.text, "0")) {
			return strings.Compare(x.text, y.text) // a fraction
		}
		return orderNumbers(x.text, y.text)
	case apkSuffix:
		return cmp.Compare(apkRank(x.text), apkRank(y.text))
	case apkSuffixNumber, apkRevision:
		return orderNumbers(x.text, y.text)
	}
	return strings.Compare(x.text, y.text)
}

// apkParts splits a version; ok is false if it has not the form.
func apkParts(v string) (parts []apkPart, ok bool) {
	take := func(kind int, of func(byte) bool) string {
		text, rest := cut(v, of)
		if text != "" {
			parts, v = append(parts, apkPart{kind, text}), rest
		}
		return text
	}
	after := func(prefix string) (found bool) {
		v, found = strings.CutPrefix(v, prefix)
		return found
	}
	ok = take(apkNumber, isDigit) != ""
	for ok && after(".") {
		ok = take(apkNumber, isDigit) != ""
	}
	if ok && v != "" && isLetter(v[0]) {
		parts, v = append(parts, apkPart{apkLetter, v[:1]}), v[1:]
	}
	for ok && after("_") {
		ok = apkRank(take(apkSuffix, isLetter)) != 0
		take(apkSuffixNumber, isDigit)
	}
	if ok && after("~") {
		ok = take(apkCommit, func(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' }) != ""
	}
	if ok && after("-r") {
		ok = take(apkRevision, isDigit) != ""
	}
	return append(parts, apkPart{kind: apkEnd}), ok && v == ""
}

// orderXbps is xbps's, which comes from pkgsrc's dewey: numbers, words that
// mean a version before the release, letters as numbers after a dot, and the
// revision last.
func orderXbps(a, b string) int {
	partsA, revisionA := dewey(a)
	partsB, revisionB := dewey(b)
	for i := range max(len(partsA), len(partsB)) {
		if o := cmp.Compare(at(partsA, i), at(partsB, i)); o != 0 {
			return o
		}
	}
	return orderNumbers(revisionA, revisionB)
}

func at(parts []int64, i int) int64 {
	if i < len(parts) {
		return parts[i]
	}
	return 0
}

func dewey(v string) (parts []int64, revision string) {
	words := []struct {
		word  string
		value int64
	}{{"alpha", -3}, {"beta", -2}, {"pre", -1}, {"rc", -1}, {"pl", 0}, {".", 0}}
next:
	for v != "" {
		if isDigit(v[0]) {
			var digits string
			digits, v = cut(v, isDigit)
			parts = append(parts, saturated(digits))
			continue
		}
		for _, w := range words {
			if len(v) >= len(w.word) && strings.EqualFold(v[:len(w.word)], w.word) {
				parts, v = append(parts, w.value), v[len(w.word):]
				continue next
			}
		}
		switch {
		case v[0] == '_':
			revision, v = cut(v[1:], isDigit)
			continue
		case isLetter(v[0]):
			parts = append(parts, 0, int64(v[0]|0x20-'a')+1)
		}
		v = v[1:]
	}
	return parts, revision
}

// saturated is a decimal number, or the largest one if that is larger.
func saturated(digits string) (n int64) {
	digits = strings.TrimLeft(digits, "0")
	if len(digits) > 18 {
		return 1<<63 - 1
	}
	for _, c := range []byte(digits) {
		n = n*10 + int64(c-'0')
	}
	return n
}
