package page

import (
	"bytes"
	"io"

	"github.com/gitboot/gitboot/internal/plain"
)

// maxLine is how long a line of a log is shown.
const maxLine = 64 << 10

// A lineWriter makes each line fit to be shown.
type lineWriter struct {
	to   io.Writer
	rest []byte
}

func (l *lineWriter) Write(data []byte) (int, error) {
	l.rest = append(l.rest, data...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found && len(l.rest) < maxLine {
			return len(data), nil
		}
		if _, err := io.WriteString(l.to, plain.Line(string(line))+"\n"); err != nil {
			return 0, err
		}
		l.rest = rest
	}
}

func (l *lineWriter) end() {
	if len(l.rest) > 0 {
		_, _ = io.WriteString(l.to, plain.Line(string(l.rest))+"\n") // who asked may have gone
	}
}
