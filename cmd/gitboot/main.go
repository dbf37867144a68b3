// Command gitboot makes a git repo decide what this machine boots.
//
// This file turns errors into messages and exit codes, in one place, and holds
// the edge: whatever a command prints goes through a plain.Writer, so that no
// word of a repo, an image or a registry reaches a terminal as anything but
// text. Each command has a file of its own; what they do is in the packages
// they call.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// version is set when a release is linked.
var version = "development"

// Exit codes. They are documented in the help of every command.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitChanges = 10
	exitLocked  = 20
)

const exitHelp = `Exit codes:
  0   converged, or nothing to do
  1   failed; what was staged before still boots
  2   usage or config repo invalid; nothing was touched
  10  with --exit-code: there are changes, made or pending
  20  another run holds the stage's lock; --wait waits for it`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	out, errs := plain.NewWriter(stdout), plain.NewWriter(stderr)
	root.SetOut(out)
	root.SetErr(errs)
	err := errors.Join(root.ExecuteContext(ctx), out.Close(), errs.Close())
	if err == nil || errors.Is(err, errHasChanges) {
		return exitCode(err)
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted; what was staged before still boots, and the next run goes on from here")
	}
	report(errs, err)
	return exitCode(err)
}

// document returns where a command writes what is kept as it is, byte for
// byte; a terminal gets it as text.
func document(c *cobra.Command) io.Writer {
	out := c.OutOrStdout()
	if f, ok := plain.Raw(out).(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return out
	}
	return plain.Raw(out)
}

// report prints an error. A config repo's problems begin their lines with
// file:line, so that editors find the places.
func report(w io.Writer, err error) {
	problems := spec.Problems(nil)
	if !errors.As(err, &problems) {
		fmt.Fprintf(w, "gitboot: %v\n", err)
		return
	}
	fmt.Fprintf(w, "%v\ngitboot: %s in the config repo; nothing was touched\n", problems, count(len(problems), "problem"))
}

// errHasChanges ends a command that was given --exit-code.
var errHasChanges = errors.New("there are changes")

// A usageError is the user's mistake on the command line or in agent.toml.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitCode(err error) int {
	var (
		problems spec.Problems
		machine  *reconciler.MachineError
		wrong    *reconciler.WrongMachineError
		usage    usageError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errHasChanges):
		return exitChanges
	case errors.Is(err, stage.ErrLocked):
		return exitLocked
	case errors.As(err, &problems), errors.As(err, &machine), errors.As(err, &wrong), errors.As(err, &usage):
		return exitUsage
	}
	return exitFailed
}
