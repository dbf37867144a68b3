package systemd

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"

	"github.com/gitboot/gitboot/internal/plain"
)

// Journaled returns a handler that writes to the journal with fields where
// standard error is the journal's, and otherwise, also when that fails, the one
// it is given.
func Journaled(level slog.Level, otherwise slog.Handler) slog.Handler {
	if ours, err := journal.StderrIsJournalStream(); err != nil || !ours {
		return otherwise
	}
	return &handler{level: level, otherwise: otherwise}
}

// For has the journal note with each entry which machine of the config repo this
// is. Elsewhere that would only make lines longer.
func For(machine string, log *slog.Logger) *slog.Logger {
	if _, ours := log.Handler().(*handler); !ours {
		return log
	}
	return log.With(machineKey, machine)
}

const machineKey = "machine"

// A handler writes a record as a journal entry: each attribute is a field, named
// as it is, in capitals, and stands in the message as well, so that it is seen by
// who reads without asking for fields.
type handler struct {
	level     slog.Level
	attrs     []slog.Attr
	group     string
	otherwise slog.Handler
}

// identifier is what the journal's readers print before a message.
const identifier = "gitboot"

func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *h
	more.attrs, more.otherwise = slices.Concat(h.attrs, h.named(attrs)), h.otherwise.WithAttrs(attrs)
	return &more
}

func (h *handler) WithGroup(name string) slog.Handler {
	more := *h
	more.group, more.otherwise = h.group+name+"_", h.otherwise.WithGroup(name)
	return &more
}

// named puts the groups that are open before the attributes' names.
func (h *handler) named(attrs []slog.Attr) []slog.Attr {
	out := slices.Clone(attrs)
	for i := range out {
		out[i].Key = h.group + out[i].Key
	}
	return out
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	var own []slog.Attr
	r.Attrs(func(a slog.Attr) bool { own = append(own, a); return true })
	message, fields := entry(r.Message, slices.Concat(h.attrs, h.named(own)))
	if journal.Send(message, priority(r.Level), fields) != nil {
		return h.otherwise.Handle(ctx, r)
	}
	return nil
}

// entry makes a message and fields of a record. What strangers wrote is in both
// text without control characters.
func entry(message string, attrs []slog.Attr) (string, map[string]string) {
	fields := map[string]string{"SYSLOG_IDENTIFIER": identifier}
	var words []string
	for _, a := range attrs {
		value := plain.Line(a.Value.Resolve().String())
		if a.Key != machineKey { // it is the same in all, and the reader is on it
			words = append(words, a.Key+" "+value)
		}
		fields[field(a.Key)] = value
	}
	if len(words) > 0 {
		message += " (" + strings.Join(words, ", ") + ")"
	}
	return plain.Line(message), fields
}

// taken are fields that mean something of their own to the journal.
var taken = []string{"MESSAGE", "PRIORITY", "ERRNO", "UNIT", "USER_UNIT", "INVOCATION_ID"}

// field is an attribute's name as the journal wants it: capitals, digits and
// underscores, 64 at most, and none of what others mean by it.
func field(key string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return '_'
	}, key)
	if name == "" || slices.Contains(taken, name) || name[0] < 'A' || name[0] > 'Z' || strings.HasPrefix(name, "SYSLOG_") || strings.HasPrefix(name, "CODE_") {
		name = "GITBOOT_" + name
	}
	return name[:min(len(name), 64)]
}

func priority(level slog.Level) journal.Priority {
	switch {
	case level >= slog.LevelError:
		return journal.PriErr
	case level >= slog.LevelWarn:
		return journal.PriWarning
	case level >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}
