package plain

import (
	"bytes"
	"io"
)

// Lines returns a writer that gives each line to a function, fit to be shown and
// without its end.
func Lines(each func(string)) io.Writer { return &lineWriter{each: each} }

type lineWriter struct {
	each func(string)
	rest []byte // of a line that is not complete
}

// longest is how much of one line is kept.
const longest = 4 << 10

// Write implements io.Writer.
func (w *lineWriter) Write(p []byte) (int, error) {
	for rest := p; ; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		w.rest = append(w.rest, line[:min(len(line), longest-len(w.rest))]...)
		if !ended {
			return len(p), nil
		}
		w.each(Line(string(w.rest)))
		w.rest, rest = w.rest[:0], after
	}
}
