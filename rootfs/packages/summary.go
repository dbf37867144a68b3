package packages

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Count is how many packages changed.
type Count struct {
	Upgraded   int `json:"upgraded"`
	Downgraded int `json:"downgraded"`
	Changed    int `json:"changed"`
	Added      int `json:"added"`
	Removed    int `json:"removed"`
}

// A Summary is a Count and the first few changes: small enough to be kept and
// shown beside others.
type Summary struct {
	Count
	// First are the first changes of each kind, kernels before others.
	First []Change `json:"first,omitempty"`
}

// shown is how many changes of each kind a Summary names.
const shown = 3

// Summarize counts changes and keeps the first of each kind. Kernels go before
// the others: they matter most to what boots.
func Summarize(changes []Change) Summary {
	var s Summary
	for _, wanted := range []bool{true, false} {
		for _, c := range changes {
			if c.kernel() != wanted {
				continue
			}
			n := s.of(c.Op)
			if *n++; *n <= shown {
				s.First = append(s.First, c)
			}
		}
	}
	slices.SortStableFunc(s.First, func(a, b Change) int { return cmp.Compare(slices.Index(ops(), a.Op), slices.Index(ops(), b.Op)) })
	return s
}

// kernel reports whether a package has one of the names that distributions give
// to a kernel and what belongs to it.
func (c Change) kernel() bool {
	return strings.HasPrefix(c.Name, "linux") || strings.HasPrefix(c.Name, "kernel")
}

func (c *Count) of(op Op) *int {
	switch op {
	case Upgraded:
		return &c.Upgraded
	case Downgraded:
		return &c.Downgraded
	case Added:
		return &c.Added
	case Removed:
		return &c.Removed
	}
	return &c.Changed
}

// String is the count in words: "2 upgraded, 1 added".
func (c Count) String() string { return c.text(func(Op) string { return "" }) }

// String is the summary in one line: "2 upgraded (linux 6.1 → 6.2, openssl), 1
// added (jq 1.6)".
func (s Summary) String() string { return s.text(s.names) }

func (c Count) text(more func(Op) string) string {
	var parts []string
	for _, op := range ops() {
		if n := *c.of(op); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s%s", n, op, more(op)))
		}
	}
	if len(parts) == 0 {
		return "none changed"
	}
	return strings.Join(parts, ", ")
}

func (s Summary) names(op Op) string {
	var names []string
	for _, c := range s.First {
		switch {
		case c.Op != op:
		case names == nil:
			names = append(names, c.String())
		default:
			names = append(names, c.Name)
		}
	}
	if *s.of(op) > len(names) {
		names = append(names, "…")
	}
	return " (" + strings.Join(names, ", ") + ")"
}
