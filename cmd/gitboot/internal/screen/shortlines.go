package screen

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/gitboot/gitboot/internal/plain"
)

// shortLines is a slog.Handler for people at a terminal: neither times nor
// levels that say nothing, and one line a record. A record that has wait is
// about what is tried again, and only noted.
type shortLines struct {
	level slog.Level
	paint Painter
	attrs []slog.Attr
	to    io.Writer
	// columns is how long a line may be.
	columns func() int
	note    func(string)
}

func (h *shortLines) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *shortLines) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *h
	more.attrs = append(append([]slog.Attr{}, h.attrs...), attrs...)
	return &more
}

// WithGroup is not Used by gitboot.
func (h *shortLines) WithGroup(string) slog.Handler { return h }

func (h *shortLines) Handle(_ context.Context, r slog.Record) error {
	attrs := append([]slog.Attr{}, h.attrs...)
	r.Attrs(func(a slog.Attr) bool { attrs = append(attrs, a); return true })
	var words []string
	for _, a := range attrs {
		if a.Key == "wait" && a.Value.Kind() == slog.KindDuration {
			h.note(again(a.Value.Duration(), attrs))
			return nil
		}
		words = append(words, a.Key+" "+a.Value.String())
	}
	line := r.Message
	if len(words) > 0 {
		line += " (" + strings.Join(words, ", ") + ")"
	}
	line = plain.Cut(plain.Line(line), h.columns()-len("warning: "))
	switch {
	case r.Level >= slog.LevelError:
		line = h.paint.In(Red, "error:") + " " + line
	case r.Level >= slog.LevelWarn:
		line = h.paint.In(Yellow, "warning:") + " " + line
	default:
		line = h.paint.In(faint, line)
	}
	_, err := fmt.Fprintln(h.to, line)
	return err
}

// again says why something is tried again, and when, in a few words: what
// failed last is at the end of an error.
func again(wait time.Duration, attrs []slog.Attr) string {
	why := "it failed"
	for _, a := range attrs {
		if a.Key == "error" {
			text := plain.Line(strings.ReplaceAll(a.Value.String(), "\n", "; "))
			why = text[strings.LastIndex(text, ": ")+1:]
		}
	}
	return fmt.Sprintf("trying again in %s: %s", wait.Round(100*time.Millisecond), plain.Cut(strings.TrimSpace(why), 60))
}
