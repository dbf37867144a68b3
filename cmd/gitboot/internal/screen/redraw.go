package screen

import (
	"bytes"
	"io"

	"github.com/gitboot/gitboot/internal/plain"
)

// Redraw shows what draw writes: on a terminal in place of what was there before
// (ECMA-48: CUP, ED), elsewhere after an empty line.
func Redraw(w io.Writer, draw func(io.Writer) error) error {
	begin := "\n"
	if Terminal(w) != nil {
		begin = plain.Control("[H") + plain.Control("[2J")
	}
	if _, err := io.WriteString(w, begin); err != nil {
		return err
	}
	var text bytes.Buffer
	if err := draw(&text); err != nil {
		return err
	}
	_, err := w.Write(text.Bytes())
	return err
}
