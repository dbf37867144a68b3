package main

import (
	"io"
	"os"

	"github.com/gitboot/gitboot/internal/plain"
)

// A colour is a control sequence (ECMA-48, 8.3.117).
type colour string

const (
	red    colour = "[31m"
	green  colour = "[32m"
	yellow colour = "[33m"
	bold   colour = "[1m"
	faint  colour = "[2m"
)

// A painter colours text, or leaves it as it is.
type painter bool

// paintFor colours what goes to a terminal that knows colours, unless the user
// does not want that (no-color.org).
func paintFor(w io.Writer) painter {
	return painter(terminal(w) != nil && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

// ansi is in for what goes to a terminal by no plain.Writer.
func (p painter) ansi(c colour, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b" + string(c) + text + "\x1b[0m"
}

func (p painter) in(c colour, text string) string {
	if !p || text == "" {
		return text
	}
	return plain.Control(string(c)) + text + plain.Control("[0m")
}
