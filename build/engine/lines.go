package engine

import (
	"bytes"

	"github.com/gitboot/gitboot/internal/plain"
)

// A lineWriter gives each line that is written to it to a function, fit to be
// shown and without its end.
type lineWriter struct {
	each func(string)
	rest []byte // of a line that is not complete
}

// longLine is how much of one line is kept.
const longLine = 4 << 10

// Write implements io.Writer.
func (w *lineWriter) Write(p []byte) (int, error) {
	for rest := p; ; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		w.rest = append(w.rest, line[:min(len(line), longLine-len(w.rest))]...)
		if !ended {
			return len(p), nil
		}
		w.each(plain.Line(string(w.rest)))
		w.rest, rest = w.rest[:0], after
	}
}
