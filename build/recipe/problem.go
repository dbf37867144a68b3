package recipe

import (
	"errors"
	"fmt"
	"strings"
)

// A Problem is something in a repo that keeps an image from being built.
type Problem struct {
	// File and Line are of a fragment. If File is "", At is the key of the
	// declaration, as in "copy", "0", "from"; none, and it is the whole of it.
	File string
	Line int
	At   []string
	// Value is what is there, Message says what is wrong with it, and Hint
	// what to do.
	Value, Message, Hint string
}

func (p Problem) Error() string {
	var b strings.Builder
	switch {
	case p.File != "" && p.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", p.File, p.Line)
	case p.File != "":
		fmt.Fprintf(&b, "%s: ", p.File)
	case len(p.At) > 0:
		b.WriteString(strings.Join(p.At, ".") + ": ")
	}
	if p.Value != "" {
		fmt.Fprintf(&b, "%q ", p.Value)
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// Problems is all that is wrong with a recipe, in the order of what is built.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// A refusal is what is wrong with a thing, wherever that stands.
type refusal struct{ message, hint string }

func (r *refusal) Error() string { return r.message + "; " + r.hint }

func refuse(hint, format string, args ...any) error {
	return &refusal{fmt.Sprintf(format, args...), hint}
}

// add notes an error at a place, if it is one.
func (ps *Problems) add(at Problem, err error) {
	if err == nil || errors.Is(err, errSpent) { // whoever spends says so
		return
	}
	at.Message, at.Hint = messageOf(err), hintOf(err)
	*ps = append(*ps, at)
}

func messageOf(err error) string {
	if why := (*refusal)(nil); errors.As(err, &why) {
		return why.message
	}
	return err.Error()
}

func hintOf(err error) string {
	if why := (*refusal)(nil); errors.As(err, &why) {
		return why.hint
	}
	return ""
}
