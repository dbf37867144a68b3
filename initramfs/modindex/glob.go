package modindex

// glob matches as depmod's aliases are matched (fnmatch): *, ? and sets such
// as [0-9A]. There is no escape character. A set that isn't closed matches
// nothing.
func glob(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, i
			p++
			continue
		}
		if n := matchOne(pattern[p:], s[i]); n > 0 {
			p += n
			i++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, i = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches one character and returns the length of the pattern that
// did, 0 if it doesn't.
func matchOne(pattern string, c byte) int {
	if pattern == "" {
		return 0
	}
	switch pattern[0] {
	case '?':
		return 1
	case '[':
		return matchSet(pattern, c)
	case c:
		return 1
	}
	return 0
}

func matchSet(pattern string, c byte) int {
	found := false
	for i := 1; i < len(pattern); i++ {
		switch {
		case pattern[i] == ']':
			if found {
				return i + 1
			}
			return 0
		case i+2 < len(pattern) && pattern[i+1] == '-' && pattern[i+2] != ']':
			found = found || pattern[i] <= c && c <= pattern[i+2]
			i += 2
		default:
			found = found || pattern[i] == c
		}
	}
	return 0
}
