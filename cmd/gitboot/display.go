package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/overview"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
)

// A display shows progress and logs. The rules:
//
//   - Results go to standard output; progress, logs and errors to standard
//     error.
//   - Where standard error is a terminal, one block shows what goes on (package
//     overview), and logs stand above it as short lines; what is tried again is
//     a note in the block. When all has ended, the block is gone.
//   - Elsewhere, and with --log-format json, the same facts are log records
//     (record.go).
//
// A nil display shows no progress.
type display struct {
	tty   *os.File  // nil where there is none
	facts *recorder // nil where there is one
	paint painter

	mu    sync.Mutex // guards what follows
	view  overview.Overview
	block *block // nil before the first event and after the end
}

func newDisplay(w io.Writer) *display {
	d := &display{tty: terminal(w), paint: paintFor(w)}
	if d.tty == nil {
		d.facts = newRecorder(slog.New(slog.NewTextHandler(w, nil)))
	}
	return d
}

// logger returns where logs of a level go, as text or JSON.
func (d *display) logger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewTextHandler(w, options)
	switch {
	case format == "json":
		handler = slog.NewJSONHandler(w, options)
	case terminal(w) != nil:
		handler = &shortLines{level: level, paint: paintFor(w), to: plain.NewWriter(above{d, w}), note: d.note, columns: func() int { return columns(w) }}
	}
	log := slog.New(handler)
	if d != nil && (d.tty == nil || format == "json") {
		d.tty, d.facts = nil, newRecorder(log)
	}
	return log
}

// above writes lines that stay: above the block, where there is one.
type above struct {
	d *display
	w io.Writer
}

func (a above) Write(p []byte) (int, error) {
	if a.d != nil {
		a.d.mu.Lock()
		b := a.d.block
		a.d.mu.Unlock()
		if b != nil {
			return b.Write(p)
		}
	}
	return plain.Raw(a.w).Write(p)
}

// note shows for a while what is tried again.
func (d *display) note(text string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.view.Note(text, time.Now())
}

func (d *display) progress() progress.Sink {
	if d == nil {
		return nil
	}
	return d.show
}

func (d *display) show(ev progress.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.facts != nil {
		d.facts.event(ev, time.Now())
		return
	}
	d.view.Event(ev, time.Now())
	if d.block == nil {
		d.block = startBlock(d.tty, d.lines)
	}
}

func (d *display) lines(columns int) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := d.view.Lines(columns, time.Now())
	if len(lines) > 0 {
		lines[0] = d.paint.ansi(bold, lines[0])
	}
	return lines
}

// close takes the block away.
func (d *display) close() error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	b := d.block
	d.block = nil
	d.mu.Unlock()
	if b == nil {
		return nil
	}
	return b.close()
}

// count says how many there are of something.
func count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case what == "push":
		return fmt.Sprintf("%d pushes", n)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
