package qemu

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/internal/plain"
)

const (
	// MaxLog is how much of a console is logged, in bytes.
	MaxLog = 16 << 20
	// kept is how much of its end is remembered.
	kept = 64 << 10
)

// A Console takes what a machine prints: it remembers the end, and logs all of
// it up to MaxLog.
type Console struct {
	log  io.Writer
	left int

	mu  sync.Mutex
	end []byte
	err error
}

// NewConsole makes a console that logs to a writer, which may be nil.
func NewConsole(log io.Writer) *Console {
	if log == nil {
		log = io.Discard
	}
	return &Console{log: log, left: MaxLog}
}

// Write never fails: a machine does not stop because it cannot be logged.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = append(c.end, p...)
	if over := len(c.end) - kept; over > kept {
		c.end = append(c.end[:0], c.end[over:]...)
	}
	if c.left <= 0 || c.err != nil {
		return len(p), nil
	}
	_, c.err = c.log.Write(p[:min(len(p), c.left)])
	if c.left -= len(p); c.left <= 0 && c.err == nil {
		_, c.err = fmt.Fprintf(c.log, "\n[what follows is left out: a log has at most %d MiB]\n", MaxLog>>20)
	}
	return len(p), nil
}

// Err is why the log is not whole.
func (c *Console) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Last returns the last lines that hold something, fit to be shown.
func (c *Console) Last(n int) []string {
	c.mu.Lock()
	text := string(bytes.ToValidUTF8(c.end, []byte("?")))
	c.mu.Unlock()
	var lines []string
	for line := range strings.Lines(text) {
		if line = plain.Line(line); strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-n):]
}
