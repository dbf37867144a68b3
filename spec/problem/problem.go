// Package problem is what is wrong with a config repo: each problem with its
// place and a remedy, all of them at once.
package problem

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/gitboot/gitboot/internal/nearest"
	"github.com/gitboot/gitboot/internal/plain"
)

// A Problem is one thing wrong with a config repo, where it is, and what to
// do about it.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line"` // from 1; 0 if the problem is with the whole file
	// Key is the dotted path of the key; elements of arrays count from 0.
	Key     string `json:"key"`
	Value   string `json:"value"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// String returns file:line: key = "value": message; hint. It is one line,
// whatever the repo's files and keys are called.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key)
		if p.Value != "" {
			b.WriteString(" = " + strconv.Quote(p.Value))
		}
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return plain.Visible(b.String())
}

// Problems is every problem that was found, sorted by file and line.
type Problems []Problem

// Error lists the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// TooMany are the first of many problems, in order.
type TooMany struct {
	Problems
	More int // how many others there are
}

func (e *TooMany) Error() string { return fmt.Sprintf("%v\nand %d more", e.Problems, e.More) }

func (e *TooMany) Unwrap() error { return e.Problems }

func compare(a, b Problem) int {
	return cmp.Or(
		cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key),
		cmp.Compare(a.Value, b.Value), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Hint, b.Hint))
}

// An UnknownMachineError says that the fleet has no machine of that name.
type UnknownMachineError struct {
	Name  string
	Known []string // sorted
}

func (e *UnknownMachineError) Error() string {
	const shown = 20
	known := e.Known
	more := ""
	if len(known) > shown {
		more = fmt.Sprintf(", and %d more", len(known)-shown)
		known = known[:shown]
	}
	switch {
	case len(known) == 0:
		return fmt.Sprintf("the config repo has no machine %q, nor any other; declare [machine.%s]", e.Name, e.Name)
	default:
		return fmt.Sprintf("the config repo has no machine %q%s; it has %s%s", e.Name, nearest.Hint(e.Name, e.Known), strings.Join(known, ", "), more)
	}
}
