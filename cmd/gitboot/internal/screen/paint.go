package screen

import (
	"io"
	"os"

	"github.com/gitboot/gitboot/internal/plain"
)

// A Colour is a control sequence (ECMA-48, 8.3.117).
type Colour string

// The colours that are used.
const (
	Red    Colour = "[31m"
	Green  Colour = "[32m"
	Yellow Colour = "[33m"
	Bold   Colour = "[1m"
	faint  Colour = "[2m"
)

// A Painter colours text, or leaves it as it is.
type Painter bool

// PaintFor colours what goes to a terminal that knows colours, unless the user
// does not want that (no-color.org).
func PaintFor(w io.Writer) Painter {
	return Painter(Terminal(w) != nil && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

// ansi is In for what goes to a terminal by no plain.Writer.
func (p Painter) ansi(c Colour, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b" + string(c) + text + "\x1b[0m"
}

// In colours text that goes through a plain.Writer.
func (p Painter) In(c Colour, text string) string {
	if !p || text == "" {
		return text
	}
	return plain.Control(string(c)) + text + plain.Control("[0m")
}
