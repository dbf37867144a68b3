// Package find finds files of a config repo by globs, in one walk and within a
// bound.
package find

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A glob is one of include: the segments of a path, in which * and ? match
// within a name and ** stands for any number of folders. Its alternatives
// {a,b} are globs of their own, so that matching needs no steps backwards and
// is linear.
type glob []string

// everywhere is the segment that any number of folders matches.
const everywhere = "**"

// maxAlternatives bounds what {a,b}{c,d}… multiply to.
const maxAlternatives = 64

// parseGlob returns a glob's alternatives, or what is wrong with it.
func parseGlob(s string) (all []glob, wrong string) {
	texts, wrong := spelledOut(s)
	if wrong != "" {
		return nil, wrong
	}
	for _, text := range texts {
		if wrong := LeavesRepo(text); wrong != "" {
			return nil, wrong
		}
		g := glob(strings.Split(path.Clean(strings.ReplaceAll(text, "[!", "[^")), "/"))
		// Twice ** is once: each more would be matched for nothing.
		g = slices.CompactFunc(g, func(a, b string) bool { return a == everywhere && b == everywhere })
		for _, segment := range g {
			if _, err := path.Match(segment, ""); err != nil {
				return nil, badGlobText
			}
		}
		all = append(all, g)
	}
	return all, ""
}

const badGlobText = "is not a valid glob"

// spelledOut writes out the braces of a glob.
func spelledOut(s string) (all []string, wrong string) {
	open, commas, end, ok := braces(s)
	if !ok {
		return nil, badGlobText
	}
	if open < 0 {
		return []string{s}, ""
	}
	from := open + 1
	for _, to := range append(commas, end) {
		more, wrong := spelledOut(s[:open] + s[from:to] + s[end+1:])
		if wrong != "" {
			return nil, wrong
		}
		if all = append(all, more...); len(all) > maxAlternatives {
			return nil, "has too many alternatives"
		}
		from = to + 1
	}
	return all, ""
}

// braces finds the first pair of braces and the commas in it. open is -1 if
// there is none.
func braces(s string) (open int, commas []int, end int, ok bool) {
	open, depth := -1, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '[':
			class := strings.IndexByte(s[min(i+2, len(s)):], ']')
			if class < 0 {
				return -1, nil, 0, false
			}
			i += 2 + class
		case c == '{':
			if depth++; depth == 1 {
				open = i
			}
		case c == ',' && depth == 1:
			commas = append(commas, i)
		case c == '}':
			if depth--; depth == 0 {
				return open, commas, i, true
			}
			if depth < 0 {
				return -1, nil, 0, false
			}
		}
	}
	return open, nil, 0, depth == 0
}

func isMeta(segment string) bool { return strings.ContainsAny(segment, `*?[`) }

func LeavesRepo(s string) string {
	clean := path.Clean(s)
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "leaves the repo"
	}
	if !fs.ValidPath(clean) || strings.Contains(s, `\`) {
		return "is not a path in the repo"
	}
	return ""
}

// WrongGlob returns what is wrong with a glob, or "".
func WrongGlob(s string) string {
	_, wrong := parseGlob(s)
	return wrong
}
