package packages

import (
	"fmt"
	"strings"
)

// A Summary is how many packages changed, and the first few of them: small
// enough to be kept and shown beside others.
type Summary struct {
	Upgraded   int `json:"upgraded"`
	Downgraded int `json:"downgraded"`
	Changed    int `json:"changed"`
	Added      int `json:"added"`
	Removed    int `json:"removed"`
	// First are the first changes of each kind.
	First []Change `json:"first,omitempty"`
}

// shown is how many changes of each kind a Summary names.
const shown = 3

// Summarize counts changes and keeps the first of each kind.
func Summarize(changes []Change) Summary {
	var s Summary
	for _, c := range changes {
		n := s.count(c.Op)
		if *n++; *n <= shown {
			s.First = append(s.First, c)
		}
	}
	return s
}

func (s *Summary) count(op Op) *int {
	switch op {
	case Upgraded:
		return &s.Upgraded
	case Downgraded:
		return &s.Downgraded
	case Added:
		return &s.Added
	case Removed:
		return &s.Removed
	}
	return &s.Changed
}

// String is the summary in one line: "2 upgraded (linux 6.1 → 6.2, openssl 3.0
// → 3.1), 1 added (jq 1.6)".
func (s Summary) String() string { return s.text(true) }

// Counts is the summary without names: "2 upgraded, 1 added".
func (s Summary) Counts() string { return s.text(false) }

func (s Summary) text(named bool) string {
	var parts []string
	for _, op := range ops() {
		n := *s.count(op)
		if n == 0 {
			continue
		}
		part := fmt.Sprintf("%d %s", n, op)
		if named {
			part += " (" + s.names(op, n) + ")"
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return "none changed"
	}
	return strings.Join(parts, ", ")
}

func (s Summary) names(op Op, n int) string {
	var names []string
	for _, c := range s.First {
		if c.Op == op {
			names = append(names, c.String())
		}
	}
	if n > len(names) {
		names = append(names, "…")
	}
	return strings.Join(names, ", ")
}
