package check

import (
	"fmt"
	"strings"
)

// A Problem is one thing wrong with settings.
type Problem struct {
	// At leads from the built-in's table to the value: keys, and of arrays
	// the numbers of their elements.
	At []any
	// Value is what is wrong, if it may be shown.
	Value string
	// Message completes "VALUE …", Hint says what to do.
	Message, Hint string
}

// Problems is everything wrong with settings.
type Problems []Problem

// Add adds a problem, if there is a message.
func (ps *Problems) Add(value, message, hint string, at ...any) {
	if message != "" {
		*ps = append(*ps, Problem{At: at, Value: value, Message: message, Hint: hint})
	}
}

// Err returns the first problem as an error, or nil.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	p := ps[0]
	var at strings.Builder
	for _, step := range p.At {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&at, "[%d]", step)
		default:
			fmt.Fprintf(&at, ".%s", step)
		}
	}
	text := strings.TrimPrefix(at.String(), ".")
	if p.Value != "" {
		text += fmt.Sprintf(" = %.300q", p.Value)
	}
	text = strings.TrimSpace(text + " " + p.Message)
	if p.Hint != "" {
		text += "; " + p.Hint
	}
	return fmt.Errorf("%s", text)
}
