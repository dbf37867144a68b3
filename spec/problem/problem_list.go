package problem

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/hooks/check"
	"github.com/gitboot/gitboot/spec/position"
)

// Max is how many problems are told. Who has more mends these first.
const Max = 100

// A List collects problems. However many there are, it holds the first
// ones, and counts the others.
type List struct {
	all   Problems
	added int // the problems that were reported, each once
	told  int // how often
	seen  map[uint64]struct{}
	seed  maphash.Seed
	// last is the last of those that are held, once others were dropped.
	last *Problem
}

// Add reports a problem of the value at p.
func (l *List) Add(p position.Place, value, message, hint string) {
	l.told++
	if l.seen == nil {
		l.seed, l.seen = maphash.MakeSeed(), map[uint64]struct{}{}
	}
	id := maphash.Comparable(l.seed, struct {
		position.Place
		value, message, hint string
	}{p, value, message, hint})
	if _, again := l.seen[id]; again {
		return
	}
	l.seen[id] = struct{}{}
	l.added++
	if l.last != nil && cmp.Or(cmp.Compare(p.File(), l.last.File), cmp.Compare(p.Line(), l.last.Line)) > 0 {
		return
	}
	l.all = append(l.all, Problem{
		File: p.File(), Line: p.Line(), Key: p.Key(),
		Value: position.Shorten(value, 120), Message: position.Shorten(message, 600), Hint: position.Shorten(hint, 1000),
	})
	if len(l.all) >= 4*Max {
		l.order()
	}
}

// All are the problems that are held, in no order.
func (l *List) All() Problems { return l.all }

// Told is how often problems were reported, the same ones too.
func (l *List) Told() int { return l.told }

// Join adds what another list has found.
func (l *List) Join(other *List) {
	l.all = append(l.all, other.all...)
	l.added += other.added
	l.order()
}

// order sorts the problems and keeps the first.
func (l *List) order() {
	slices.SortFunc(l.all, compare)
	all := slices.Compact(l.all)
	if l.added -= len(l.all) - len(all); len(all) > Max {
		clear(all[Max:])
		all = all[:Max]
		l.last = &all[Max-1]
	}
	l.all = all
}

// Err returns the problems sorted, each once, or nil.
func (l *List) Err() error {
	l.order()
	switch {
	case len(l.all) == 0:
		return nil
	case l.added > len(l.all):
		return &TooMany{l.all, l.added - len(l.all)}
	}
	return l.all
}

// Reported says whether something below p was found wrong before.
func (l *List) Reported(p position.Place) bool {
	for _, problem := range l.all {
		if problem.File == p.File() && strings.HasPrefix(problem.Key, p.Key()) {
			return true
		}
	}
	return false
}

// AddBuiltin reports a problem of a built-in hook whose table is at p.
func (l *List) AddBuiltin(p position.Place, wrong check.Problem, whose string) {
	for _, step := range wrong.At {
		switch step := step.(type) {
		case int:
			p = p.Item(step)
		case string:
			p = p.At(step)
		}
	}
	l.Add(p, wrong.Value, wrong.Message+whose, wrong.Hint)
}
