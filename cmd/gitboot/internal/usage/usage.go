// Package usage tells what somebody typed wrong. Its errors end gitboot with the
// exit code for that.
package usage

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// An Error is the user's mistake on the command line or in agent.toml.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error as fmt.Errorf does.
func Errorf(format string, args ...any) error { return &Error{fmt.Errorf(format, args...)} }

// Group is a command that only holds others.
func Group(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: KnownCommand, RunE: func(c *cobra.Command, _ []string) error {
		return Errorf("%s needs one of its commands; see `%s --help`", c.CommandPath(), c.CommandPath())
	}}
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(children...)
	return c
}

// Args is one of cobra's checks of arguments.
func Args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error { return OfCobra(c, check(c, given)) }
}

// OfCobra makes cobra's error about a flag or an argument one of ours.
func OfCobra(c *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return Errorf("%w; see `%s --help`", err, c.CommandPath())
}

// NoArgs is for commands that take none.
func NoArgs(c *cobra.Command, given []string) error {
	if len(given) > 0 {
		return Errorf("%s does not take %q; see `%s --help`", c.CommandPath(), given[0], c.CommandPath())
	}
	return nil
}

// KnownCommand is asked when the first argument names no command.
func KnownCommand(c *cobra.Command, given []string) error {
	if len(given) == 0 {
		return nil
	}
	hint := ""
	if near := c.SuggestionsFor(given[0]); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %s? ", strings.Join(near, " or "))
	}
	return Errorf("there is no command %q; %ssee `%s --help`", given[0], hint, c.CommandPath())
}

// StrictHelp makes `help` refuse what is no command; it keeps cobra's
// completions.
func StrictHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, help := range root.Commands() {
		if help.Name() != "help" {
			continue
		}
		help.Run = nil
		help.RunE = func(c *cobra.Command, topic []string) error {
			about, rest, err := root.Find(topic)
			if err == nil {
				err = KnownCommand(about, rest)
			}
			if err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		}
	}
}
