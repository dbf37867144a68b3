// Package screen is how gitboot's commands look: progress and logs on a
// terminal or in a file, tables, colours and widths. What it writes goes through
// the plain.Writer that it is given; only what is drawn again and again goes to
// the terminal itself, as text that package overview has made plain.
package screen

import (
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gitboot/gitboot/agent/systemd"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/overview"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
)

// A Display shows progress and logs. The rules:
//
//   - Results go to standard output; progress, logs and errors to standard
//     error.
//   - Where standard error is a terminal, one block shows what goes on (package
//     overview), and logs stand above it as short lines; what is tried again is
//     a note in the block. When all has ended, the block is gone.
//   - Elsewhere, and with --log-format json, the same facts are log records
//     (record.go), of the journal with fields where standard error is its own.
//
// A nil Display shows no progress.
type Display struct {
	tty   *os.File  // nil where there is none
	facts *recorder // nil where there is one
	paint Painter

	mu    sync.Mutex // guards what follows
	view  overview.Overview
	block *block // nil before the first event and after the end
}

// New makes the display of a command whose standard error is w.
func New(w io.Writer) *Display {
	d := &Display{tty: Terminal(w), paint: PaintFor(w)}
	if d.tty == nil {
		d.facts = newRecorder(slog.New(slog.NewTextHandler(w, nil)))
	}
	return d
}

// Logger returns where logs of a level go, as text or JSON; "" is what suits who
// reads them.
func (d *Display) Logger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewTextHandler(w, options)
	switch {
	case format == "json":
		handler = slog.NewJSONHandler(w, options)
	case Terminal(w) != nil:
		handler = &shortLines{level: level, paint: PaintFor(w), to: plain.NewWriter(above{d, w}), note: d.note, columns: func() int { return Columns(w) }}
	case format == "":
		handler = systemd.Journaled(level, handler)
	}
	log := slog.New(handler)
	if d != nil && (d.tty == nil || format == "json") {
		d.tty, d.facts = nil, newRecorder(log)
	}
	return log
}

// above writes lines that stay: above the block, where there is one.
type above struct {
	d *Display
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
func (d *Display) note(text string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.view.Note(text, time.Now())
}

// Progress returns where tasks tell how far they are.
func (d *Display) Progress() progress.Sink {
	if d == nil {
		return nil
	}
	return d.show
}

func (d *Display) show(ev progress.Event) {
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

func (d *Display) lines(columns int) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := d.view.Lines(columns, time.Now())
	if len(lines) > 0 {
		lines[0] = d.paint.ansi(Bold, lines[0])
	}
	return lines
}

// Close takes the block away.
func (d *Display) Close() error {
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
