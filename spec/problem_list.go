package spec

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
)

// maxProblems is how many problems are told. Who has more mends these first.
const maxProblems = 100

// problemList collects problems. However many there are, it holds the first
// ones, and counts the others.
type problemList struct {
	all   Problems
	added int // the problems that were reported, each once
	told  int // how often
	seen  map[uint64]struct{}
	seed  maphash.Seed
	// last is the last of those that are held, once others were dropped.
	last *Problem
}

// add reports a problem of the value at p.
func (l *problemList) add(p place, value, message, hint string) {
	l.told++
	if l.seen == nil {
		l.seed, l.seen = maphash.MakeSeed(), map[uint64]struct{}{}
	}
	id := maphash.Comparable(l.seed, struct {
		place
		value, message, hint string
	}{p, value, message, hint})
	if _, again := l.seen[id]; again {
		return
	}
	l.seen[id] = struct{}{}
	l.added++
	if l.last != nil && cmp.Or(cmp.Compare(p.file, l.last.File), cmp.Compare(p.line(), l.last.Line)) > 0 {
		return
	}
	l.all = append(l.all, Problem{
		File: p.file, Line: p.line(), Key: p.key(),
		Value: shorten(value, 120), Message: shorten(message, 600), Hint: shorten(hint, 1000),
	})
	if len(l.all) >= 4*maxProblems {
		l.order()
	}
}

// join adds what another list has found.
func (l *problemList) join(other *problemList) {
	l.all = append(l.all, other.all...)
	l.added += other.added
	l.order()
}

// order sorts the problems and keeps the first.
func (l *problemList) order() {
	slices.SortFunc(l.all, compareProblems)
	all := slices.Compact(l.all)
	if l.added -= len(l.all) - len(all); len(all) > maxProblems {
		clear(all[maxProblems:])
		all = all[:maxProblems]
		l.last = &all[maxProblems-1]
	}
	l.all = all
}

// err returns the problems sorted, each once, or nil.
func (l *problemList) err() error {
	l.order()
	switch {
	case len(l.all) == 0:
		return nil
	case l.added > len(l.all):
		return &TooMany{l.all, l.added - len(l.all)}
	}
	return l.all
}

func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
