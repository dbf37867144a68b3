package hooks

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
)

// Limits that keep a script's output from filling memory or the log.
const (
	maxLine    = 4096  // bytes; the rest of a line is dropped
	maxLogged  = 10000 // lines; later ones only count, and are seen if they are the last
	quoteLines = 20
)

// lines logs a script's output and remembers its end.
type lines struct {
	log   *slog.Logger
	last  []string
	count int
}

func newLines(log *slog.Logger) *lines { return &lines{log: log} }

// readFrom reads until the end, or until reading fails.
func (l *lines) readFrom(r io.Reader) {
	b := bufio.NewReaderSize(r, maxLine)
	cut := false // within a line whose beginning is already taken
	for {
		chunk, err := b.ReadSlice('\n')
		if len(chunk) > 0 && !cut {
			l.add(string(chunk))
		}
		cut = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !cut {
			break
		}
	}
	if l.count > maxLogged {
		l.log.Warn("the script said more than is logged", "lines", l.count, "logged", maxLogged)
	}
}

func (l *lines) add(line string) {
	line = strings.ToValidUTF8(strings.TrimRight(line, "\r\n"), "\uFFFD")
	if l.count++; l.count <= maxLogged {
		l.log.Info("hook says: " + line)
	}
	if len(l.last) == quoteLines {
		l.last = append(l.last[:0], l.last[1:]...)
	}
	l.last = append(l.last, line)
}

// quote returns the last lines for an error message.
func (l *lines) quote() string {
	if len(l.last) == 0 {
		return "; it said nothing"
	}
	return "; its last words were:\n\t" + strings.Join(l.last, "\n\t")
}

// hasAny reports whether one of texts is in the last lines.
func (l *lines) hasAny(texts ...string) bool {
	said := l.quote()
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(said, text) })
}
