package quarantine

import (
	"bytes"
	"strings"
)

// words keeps the beginning of what the process says to its standard error,
// which is only how it dies.
type words struct{ said []byte }

func (w *words) Write(p []byte) (int, error) {
	if room := 4096 - len(w.said); room > 0 {
		w.said = append(w.said, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (w *words) has(s string) bool { return bytes.Contains(w.said, []byte(s)) }

func (w *words) first() string {
	line, _, _ := strings.Cut(string(w.said), "\n")
	return line
}
