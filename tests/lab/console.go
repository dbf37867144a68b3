package lab

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Console is what a machine has printed on its serial port, as lines without
// control sequences. Write is for the machine; WaitFor and Tail are for whoever
// watches. Watching is for one goroutine at a time.
type Console struct {
	copy  io.Writer
	start time.Time

	mu      sync.Mutex
	lines   []consoleLine
	partial strings.Builder
	ended   bool
	changed chan struct{} // closed at each change, and replaced
	escape  escapeState
	next    int // the first line that WaitFor has not matched yet
}

type consoleLine struct {
	text string
	at   time.Duration
}

// A Match is a line that was waited for.
type Match struct {
	// Groups are the whole match and its parenthesised groups.
	Groups []string
	// At is the time since the machine was started.
	At time.Duration
}

func newConsole(copy io.Writer) *Console {
	if copy == nil {
		copy = io.Discard
	}
	return &Console{copy: copy, start: time.Now(), changed: make(chan struct{})}
}

// WaitFor waits for a line that matches re, after the line that the last call
// matched. Only whole lines count. Its error, when the kernel panics, the
// machine stops or ctx is done, ends with the last lines of the console.
func (c *Console) WaitFor(ctx context.Context, re *regexp.Regexp) (Match, error) {
	at := c.next
	for {
		lines, ended, changed := c.since(at)
		for i, line := range lines {
			if groups := re.FindStringSubmatch(line.text); groups != nil {
				c.next = at + i + 1
				return Match{Groups: groups, At: line.at}, nil
			}
			if strings.Contains(line.text, "Kernel panic - not syncing") {
				return Match{}, fmt.Errorf("the kernel panicked before it printed %q; the console ended with:\n%s", re, c.Tail(40))
			}
		}
		if ended {
			return Match{}, fmt.Errorf("the machine stopped before it printed %q; the console ended with:\n%s", re, c.Tail(40))
		}
		at += len(lines)
		select {
		case <-changed:
		case <-ctx.Done():
			return Match{}, fmt.Errorf("wait for the machine to print %q: %w; %s", re, ctx.Err(), c.stuck())
		}
	}
}

// kernelLine is how a kernel's message begins, but for that of its level.
var kernelLine = regexp.MustCompile(`^(<\d>)?\[ *\d+\.\d+\] `)

// stuck says how far a machine got that does not go on.
func (c *Console) stuck() string {
	lines, _, _ := c.since(0)
	said := "it printed nothing at all: its firmware found nothing to boot, or prints elsewhere"
	if n := len(lines); n > 0 {
		silent := time.Since(c.start) - lines[n-1].at
		said = fmt.Sprintf("its last line %q came %.0f s after it was started, then nothing for %.0f s",
			lines[n-1].text, lines[n-1].at.Seconds(), silent.Seconds())
		if !slices.ContainsFunc(lines, func(l consoleLine) bool { return kernelLine.MatchString(l.text) }) {
			said += "; no kernel wrote to this console: without quiet, and with console=ttyS0 and earlyprintk=ttyS0 among kernel_args, it says how far it gets"
		}
	}
	return said + "; the console ended with:\n" + c.Tail(40)
}

// since returns the whole lines from the n-th on.
func (c *Console) since(n int) ([]consoleLine, bool, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.lines[n:]), c.ended, c.changed
}

// Tail returns the last n lines that are not blank, and the unfinished one.
func (c *Console) Tail(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for _, line := range append(slices.Clone(c.lines), consoleLine{text: c.partial.String()}) {
		if text := strings.TrimSpace(line.text); text != "" {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Write takes what the machine prints.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range p {
		printed, newline := c.escape.next(b)
		switch {
		case newline:
			c.endLine()
		case printed:
			c.partial.WriteByte(b)
		}
	}
	c.notify()
	return c.copy.Write(p)
}

func (c *Console) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLine()
	c.ended = true
	c.notify()
}

func (c *Console) endLine() {
	if c.partial.Len() > 0 {
		c.lines = append(c.lines, consoleLine{c.partial.String(), time.Since(c.start)})
		c.partial.Reset()
	}
}

func (c *Console) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// An escapeState follows ECMA-48 control sequences: ESC [ parameters final.
type escapeState int

const (
	plain escapeState = iota
	escaped
	sequence
)

// next reports whether b is text, or ends a line. Moving the cursor ends one,
// because GRUB and the firmware draw menus with it.
func (s *escapeState) next(b byte) (text, newline bool) {
	switch *s {
	case escaped:
		*s = plain
		if b == '[' {
			*s = sequence
		}
		return false, false
	case sequence:
		if b >= 0x40 && b <= 0x7e {
			*s = plain
			return false, b == 'H' || b == 'J'
		}
		return false, false
	}
	if b == 0x1b {
		*s = escaped
		return false, false
	}
	return b >= ' ' || b == '\t', b == '\n' || b == '\r'
}
