// Package notify tells people and programs outside of what happens: a command that
// gets the event as JSON, a server (a plain webhook, or ntfy), and who sits at the
// machine, through the notification service of their desktop. Each is told in its
// own time; none of them can hold up what goes on.
package notify

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/agent/outbound"
	"github.com/gitboot/gitboot/internal/nearest"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/proxy"
	"github.com/gitboot/gitboot/reconciler/event"
)

// Kinds of servers.
const (
	Webhook = "webhook"
	Ntfy    = "ntfy"
)

// Options say who is told, and of what.
type Options struct {
	// Events are kinds, none for Usual.
	Events []string
	// Command is a program and its arguments.
	Command []string
	// URL is the server's, Kind what it is, "" for Webhook.
	URL, Kind, TokenFile string
	Desktop              bool
	Proxy                proxy.Settings
	CAFile               string
	// Print takes what a command has printed.
	Print func(line string)
}

// Usual are the kinds that somebody should know of: what does not go on by itself,
// and what a person has to do.
func Usual() []string {
	return []string{string(event.Refused), string(event.Failed), string(event.Recovered), string(event.Drifted), string(event.Held), string(event.Bad), string(event.FellBack), string(event.Reverted), string(event.RebootNeeded)}
}

// A Target is somebody who is told. Its name is the same for as long as it is the
// same kind of target.
type Target struct {
	Name  string
	Wants func(event.Event) bool
	Tell  func(context.Context, event.Event) error
}

// Targets are those that there are by the options.
func (o Options) Targets() (targets []Target) {
	add := func(name string, tell func(context.Context, event.Event) error) {
		targets = append(targets, Target{name, o.wants, tell})
	}
	if len(o.Command) > 0 {
		add("command", o.command)
	}
	if o.URL != "" {
		add("server", server{o, outbound.New(o.Proxy, o.CAFile)}.tell)
	}
	if o.Desktop {
		add("desktop", desktop{sessions}.tell)
	}
	return targets
}

func (o Options) wants(e event.Event) bool {
	events := o.Events
	if len(events) == 0 {
		events = Usual()
	}
	return e.Told() && slices.Contains(events, string(e.Kind))
}

// words are an event for people: who says it, and what.
func words(e event.Event) (title, text string) {
	title, text = "gitboot", e.Message()
	if e.Machine != "" {
		title += " on " + plain.Line(e.Machine)
	}
	if e.Packages != "" {
		text += "; packages: " + e.Packages
	}
	return title, plain.Cut(plain.Line(text), 1000)
}

// told is the JSON of an event, with what it says to people.
type told struct {
	event.Event
	Message string `json:"message"`
}

// urgent are the kinds that somebody has to do something about.
func urgent(e event.Event) bool {
	return e.Kind == event.Failed || e.Kind == event.Refused || e.Kind == event.Bad
}

// CheckEvents says what is wrong with kinds of events.
func CheckEvents(events []string) error {
	var known []string
	for _, k := range event.Notable() {
		known = append(known, string(k))
	}
	for _, e := range events {
		if !slices.Contains(known, e) {
			return fmt.Errorf("names %q, which nobody is told of%s; known are %s", e, nearest.Hint(e, known), strings.Join(known, ", "))
		}
	}
	return nil
}

// CheckCommand says what is wrong with a command. Who may replace the program is
// for the caller to check.
func CheckCommand(command []string) error {
	if len(command) == 0 || !filepath.IsAbs(command[0]) {
		return errors.New(`begins with no absolute path; write it as ["/usr/local/bin/program", "argument"], without a shell`)
	}
	return nil
}

// CheckKind says what is wrong with a kind of server.
func CheckKind(kind string) error {
	if kind != Webhook && kind != Ntfy {
		return fmt.Errorf("is no kind of server that can be told%s; write %s or %s", nearest.Hint(kind, []string{Webhook, Ntfy}), Webhook, Ntfy)
	}
	return nil
}
