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
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
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
	exitPaused  = 21
)

const exitHelp = `Exit codes:
  0   converged, or nothing to do
  1   failed; what was staged before still boots
  2   usage or config repo invalid; nothing was touched
  10  with --exit-code: there are changes, made or pending
  20  another run holds the lock of the stage, or of the workshop where images are
      made; --wait waits for it
  21  this machine is suspended, and nothing was changed`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// memory is how much gitboot has before garbage is collected at once: what a hostile
// config repo makes of it, and a large pull, is less, and the collector else comes late
// on a busy machine.
const memory = 150 << 20

// holdMemory keeps to that, unless GOMEMLIMIT says how much it may be. More can be had
// where all of it is needed.
func holdMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory)
	}
}

func run(args []string, stdout, stderr io.Writer) int {
	holdMemory()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	kept := screen.NewOutput(ctx, stdout)
	out, errs := plain.NewWriter(kept), plain.NewWriter(stderr)
	root.SetOut(out)
	root.SetErr(errs)
	err := errors.Join(root.ExecuteContext(ctx), out.Close(), errs.Close())
	if err == nil || errors.Is(err, errHasChanges) {
		return exitCode(err)
	}
	if ctx.Err() != nil {
		err = interrupted(err)
	}
	tell(errs, err)
	if slices.Contains(args, "--json") && !kept.Used {
		err = errors.Join(err, screen.JSON(out, describeError(err)))
	}
	return exitCode(err)
}

// A leaver is an error that says what there is after an interruption.
type leaver interface{ Left() string }

func interrupted(err error) error {
	if l := leaver(nil); errors.As(err, &l) {
		return errors.New("interrupted; " + l.Left())
	}
	return errors.New("interrupted; what was staged before still boots, and the next run goes on from here")
}

// errorJSON is what every --json prints in place of a result.
type errorJSON struct {
	Error    string        `json:"error"`
	ExitCode int           `json:"exitCode"`
	Problems spec.Problems `json:"problems,omitempty"`
	More     int           `json:"more,omitempty"`
}

func describeError(err error) errorJSON {
	out := errorJSON{Error: err.Error(), ExitCode: exitCode(err)}
	out.Problems, out.More = problemsOf(err)
	return out
}

// problemsOf returns the first problems of a config repo that an error tells,
// and how many more there are.
func problemsOf(err error) (first spec.Problems, more int) {
	first = spec.Problems{}
	errors.As(err, &first)
	if many := (*spec.TooMany)(nil); errors.As(err, &many) {
		more = many.More
	}
	return first, more
}

// tell prints an error. A config repo's problems begin their lines with
// file:line, so that editors find the places.
func tell(w io.Writer, err error) {
	problems, more := problemsOf(err)
	name := screen.PaintFor(w).In(screen.Red, "gitboot:")
	if len(problems) == 0 {
		fmt.Fprintf(w, "%s %v%s\n", name, err, asRoot(err, os.Geteuid()))
		return
	}
	fmt.Fprintln(w, problems)
	if more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	fmt.Fprintf(w, "%s %s in the config repo; nothing was touched\n", name, screen.Count(len(problems)+more, "problem"))
}

// asRoot tells who is not root, and may therefore not, what to do.
func asRoot(err error, uid int) string {
	if uid == 0 || !errors.Is(err, fs.ErrPermission) {
		return ""
	}
	return "; run as root"
}

// errHasChanges ends a command that was given --exit-code.
var errHasChanges = errors.New("there are changes")

func exitCode(err error) int {
	var (
		problems spec.Problems
		machine  *wanted.MachineError
		wrong    *wanted.WrongMachineError
		called   *wanted.RepoNameError
		typed    *usage.Error
		name     *state.NameError
		option   *source.OptionError
		none     *source.NoRefError
		which    *source.AmbiguousError
		ref      *spec.ReferenceError
		folder   *source.FolderError
		owner    *source.OwnerError
		repo     *source.UnreachableError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errHasChanges):
		return exitChanges
	case errors.Is(err, stage.ErrLocked):
		return exitLocked
	case errors.As(err, new(*plan.SuspendedError)):
		return exitPaused
	case errors.As(err, &problems), errors.As(err, &machine), errors.As(err, &wrong), errors.As(err, &called), errors.As(err, &typed), errors.As(err, &name),
		errors.As(err, &ref), errors.As(err, &option), errors.As(err, &none), errors.As(err, &which), errors.As(err, &folder), errors.As(err, &owner), errors.As(err, &repo) && repo.Path:
		return exitUsage
	}
	return exitFailed
}
