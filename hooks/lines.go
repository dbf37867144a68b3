package hooks

import (
	"bufio"
	"bytes"
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
	// hide are texts that are not shown.
	hide [][]byte
}

func newLines(log *slog.Logger) *lines { return &lines{log: log} }

// readFrom reads until the end, or until reading fails.
func (l *lines) readFrom(r io.Reader) {
	b := bufio.NewReaderSize(r, maxLine)
	if len(l.hide) > 0 {
		defer overwrite(b)
	}
	cut := false // within a line whose beginning is already taken
	for {
		chunk, err := b.ReadSlice('\n')
		if len(chunk) > 0 && !cut {
			l.add(l.shown(chunk, errors.Is(err, bufio.ErrBufferFull)))
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

// shown is what may be shown of a line. Of one that is cut, the rest of a secret
// may be missing.
func (l *lines) shown(line []byte, cut bool) string {
	if cut && len(l.hide) > 0 {
		return "(a long line, which may have a secret in it)"
	}
	for _, text := range l.hide {
		line = bytes.ReplaceAll(line, text, []byte("(secret)"))
	}
	return string(line)
}

// overwrite fills a reader's buffer with zeros.
func overwrite(b *bufio.Reader) {
	b.Reset(zeros{})
	_, _ = b.Peek(b.Size()) // zeros do not end
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

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
