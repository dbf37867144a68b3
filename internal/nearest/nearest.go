// Package nearest finds what somebody meant who mistyped a name.
package nearest

import (
	"fmt"
	"strings"
)

// longest is what is still a name. Finding the nearest takes the square of it.
const longest = 100

// Of returns the candidate that name was most likely meant to be, or "".
// Of equally near ones it is the first in order.
func Of(name string, candidates []string) string {
	limit := 1 + len(name)/4
	best := ""
	if len(name) > longest {
		return ""
	}
	for _, c := range candidates {
		// Lengths that differ by more than the limit cannot be near: this
		// keeps a document full of mistakes cheap.
		if len(c)-len(name) > limit || len(name)-len(c) > limit {
			continue
		}
		if d := distance(name, c); d <= limit && (best == "" || d < limit) {
			best, limit = c, d
		}
	}
	return best
}

// Hint returns ` (did you mean "x"?)`, or "".
func Hint(name string, candidates []string) string {
	if n := Of(name, candidates); n != "" {
		return fmt.Sprintf(" (did you mean %q?)", n)
	}
	return ""
}

// distance is the number of letters to insert, delete, change or swap with
// their neighbour to turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// List names at most so many that they can be read.
func List(names []string) string {
	const shown = 20
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s, and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
