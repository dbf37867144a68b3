// Package presence finds out whom and what a restart of the machine would disturb:
// who is logged in, and which programs ask that it is not shut down. systemd's login
// manager knows (org.freedesktop.login1(5)); where it cannot be asked, who is logged
// in is in utmp.
package presence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/program"
)

const (
	// patience bounds how long is waited for an answer.
	patience = 10 * time.Second
	// most bounds how many sessions and inhibitors are named.
	most = 100
	// text bounds what a program may say of itself.
	text = 80
)

// Look names what would be disturbed, each once, in an order that is always the
// same: "the session of ada", "apt (installs packages)".
func Look(ctx context.Context) ([]string, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	m := manager{ctx}
	people, errPeople := m.sessions()
	programs, errPrograms := m.inhibitors()
	err := errors.Join(errPeople, errPrograms)
	if err == nil {
		return ordered(append(people, programs...)), nil
	}
	out, errWho := program.Command(ctx, "who").Output()
	if errWho != nil {
		return nil, fmt.Errorf("%w; nor does who(1) know: %w", err, errWho)
	}
	return ordered(users(string(out))), nil
}

func ordered(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// users are those that who(1) lists, whose lines begin with a name.
func users(who string) (names []string) {
	for line := range strings.Lines(who) {
		if f := strings.Fields(line); len(f) > 0 && len(names) < most {
			names = append(names, sessionOf(f[0]))
		}
	}
	return names
}

func sessionOf(user string) string { return "the session of " + plain.Cut(plain.Line(user), text) }

// A manager is systemd's login manager, asked through busctl: that is there
// wherever the manager is.
type manager struct{ ctx context.Context }

const (
	service = "org.freedesktop.login1"
	object  = "/org/freedesktop/login1"
)

// call has a method of the manager called, and puts what it returns into answer.
func (m manager) call(answer any, args ...string) error {
	out, err := program.Command(m.ctx, "busctl", append([]string{"--json=short"}, args...)...).Output()
	if err != nil {
		return err
	}
	return json.Unmarshal(out, &struct{ Data any }{answer})
}

// sessions are those of people: not a greeter's, nor what runs by a clock, nor one
// that has ended but for what it left running.
func (m manager) sessions() (names []string, err error) {
	var answer [][][]any
	if err := m.call(&answer, "call", service, object, service+".Manager", "ListSessions"); err != nil {
		return nil, fmt.Errorf("ask the login manager for sessions: %w", err)
	}
	for _, row := range rows(answer) { // a(susso): id, uid, user, seat, object
		user, path := word(row, 2), word(row, 4)
		var class, state string
		if err := errors.Join(m.property(path, "Class", &class), m.property(path, "State", &state)); err != nil {
			continue // it has ended meanwhile
		}
		if strings.HasPrefix(class, "user") && state != "closing" { // user-light and others are newer systemd's
			names = append(names, sessionOf(user))
		}
	}
	return names, nil
}

func (m manager) property(session, name string, value *string) error {
	return m.call(value, "get-property", service, session, service+".Session", name)
}

// inhibitors are programs that ask that the machine is not shut down; those that
// ask for a delay are given one by the shutdown itself.
func (m manager) inhibitors() (names []string, err error) {
	var answer [][][]any
	if err := m.call(&answer, "call", service, object, service+".Manager", "ListInhibitors"); err != nil {
		return nil, fmt.Errorf("ask the login manager for inhibitors: %w", err)
	}
	for _, row := range rows(answer) { // a(ssssuu): what, who, why, mode, uid, pid
		what, mode := strings.Split(word(row, 0), ":"), word(row, 3)
		if slices.Contains(what, "shutdown") && strings.HasPrefix(mode, "block") {
			names = append(names, fmt.Sprintf("%s (%s)", plain.Cut(plain.Line(word(row, 1)), text), plain.Cut(plain.Line(word(row, 2)), text)))
		}
	}
	return names, nil
}

// rows are those of a method's one array, as many as are named.
func rows(answer [][][]any) [][]any {
	if len(answer) == 0 {
		return nil
	}
	return answer[0][:min(len(answer[0]), most)]
}

func word(row []any, i int) string {
	if i >= len(row) {
		return ""
	}
	s, _ := row[i].(string)
	return s
}
