package plain

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// A Writer is the edge between gitboot and whoever reads what it prints. All
// that is written to it comes out as text that can be seen: control
// characters, marks that turn the direction round and what is no UTF-8 are
// written as \u001b and \xff are here. Line ends, tabs and what Control
// returned pass. JSON stays the same JSON. It may be used by several
// goroutines at once.
type Writer struct {
	to io.Writer

	mu   sync.Mutex
	rest []byte // the beginning of a character or of a control sequence
}

// NewWriter returns a Writer that writes to another one.
func NewWriter(to io.Writer) *Writer { return &Writer{to: to} }

// Raw returns what a Writer writes to, and any other writer itself. It is for
// bytes that are no text, such as an archive, and to ask what the file is.
func Raw(w io.Writer) io.Writer {
	if edge, ok := w.(*Writer); ok {
		return edge.to
	}
	return w
}

// own tells gitboot's control sequences from those of strangers, who cannot
// know it: each process draws its own.
var own = "\x1b" + rand.Text()

// Control returns a control sequence, such as "[1m" for bold (ECMA-48, 8.3),
// in a form that a Writer lets pass.
func Control(sequence string) string { return own + sequence }

// Visible returns a text as one line in which everything can be seen.
func Visible(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := visible(s)
		b.WriteString(s[:n])
		if s = s[n:]; s != "" {
			n = unseen(&b, s)
			s = s[n:]
		}
	}
	return b.String()
}

// Write implements io.Writer. The beginning of a character is kept until the
// rest comes.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := string(append(w.rest, p...))
	var out strings.Builder
	for text != "" && !begun(text) {
		n := visible(text)
		out.WriteString(text[:n])
		switch text = text[n:]; {
		case text == "" || begun(text):
		case text[0] == '\n' || text[0] == '\t':
			out.WriteByte(text[0])
			text = text[1:]
		case strings.HasPrefix(text, own):
			out.WriteByte(own[0])
			text = text[len(own):]
		default:
			text = text[unseen(&out, text):]
		}
	}
	w.rest = append(w.rest[:0], text...)
	if _, err := io.WriteString(w.to, out.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes what was begun and never ended. What is written to stays open.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := bytes.Clone(w.rest)
	w.rest = nil
	_, err := io.WriteString(w.to, Visible(string(rest)))
	return err
}

// begun says whether all of s may be the beginning of one thing.
func begun(s string) bool {
	return !utf8.FullRuneInString(s) || len(s) < len(own) && strings.HasPrefix(own, s)
}

// visible returns how much of s, from its beginning, can be seen.
func visible(s string) int {
	for i, r := range s {
		if !unicode.IsGraphic(r) || r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd") {
			return i
		}
	}
	return len(s)
}

// unseen writes the character that s begins with in letters, in the way of
// JSON where that knows one, and returns its length.
func unseen(b *strings.Builder, s string) int {
	r, n := utf8.DecodeRuneInString(s)
	switch high, low := utf16.EncodeRune(r); {
	case r == utf8.RuneError && n == 1:
		fmt.Fprintf(b, `\x%02x`, s[0])
	case r == '\n' || r == '\r' || r == '\t':
		b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
	case high != utf8.RuneError:
		fmt.Fprintf(b, `\u%04x\u%04x`, high, low)
	default:
		fmt.Fprintf(b, `\u%04x`, r)
	}
	return n
}
