package operating

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/virtual"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/state"
)

func newTry(s Site) *cobra.Command {
	var drop, reboot, vm bool
	var image string
	var has virtual.Hardware
	c := &cobra.Command{
		Use: "try REVISION | IMAGE-REFERENCE | --drop", Short: "Boot something once, and then what boots now again", Args: usage.Args(cobra.MaximumNArgs(1)),
		Long: `try stages something beside what is there, and has the boot loader boot it at the next
boot, and only then. It is an entry of its own, never the default, and gone when the
machine was booted into it and left again. If it fails to come up, the machine
restarts with what boots by itself.

REVISION is a branch or a tag of the config repo, or a commit of the history that is
followed, trusted and checked as what is followed is. The machine's first image there
is tried, or the one that --image names.

IMAGE-REFERENCE is somebody else's image; it names a registry, or has a colon. This
machine's hooks apply to it, and its kernel arguments, as if the config repo declared
it under the last word of its reference: those for images "*" do.

Trying another replaces it; --drop takes it away.

--vm boots it here and now instead, in a virtual machine on a throwaway disk, until it
is judged by its health: the command exits with 1 if it is not good. The boot menu and
what boots next stay as they are, and nothing of it remains but what hooks make once
and keep. What it prints on its console is shown, or with --json the last lines of
what is not good. The virtual machine has what the machine's boot_test declares;
--memory and --network say otherwise.`,
		Example: "  gitboot try ghcr.io/steve/gaming --reboot\n  gitboot try new-kernel\n  gitboot try new-kernel --vm\n  gitboot try ghcr.io/steve/gaming --vm --network --log console.log\n  gitboot try 05c639e294ca --image router\n  gitboot try --drop",
	}
	c.Flags().BoolVar(&drop, "drop", false, "take away what is tried")
	c.Flags().BoolVar(&reboot, "reboot", false, "restart the machine into it at once")
	c.Flags().StringVar(&image, "image", "", "with REVISION: `NAME` of the image (default: the machine's first)")
	c.Flags().BoolVar(&vm, "vm", false, "boot it in a virtual machine, until it is judged, and nowhere else")
	has.Bind(c.Flags(), "with --vm: ")
	s.waitFlag(c)
	asJSON := c.Flags().Bool("json", false, "print JSON with stable fields")
	c.RunE = func(c *cobra.Command, names []string) error {
		switch {
		case drop == (len(names) == 1):
			return usage.Errorf("try needs something to try, or --drop")
		case drop && reboot:
			return usage.Errorf("--drop takes away what is tried; there is nothing to restart into")
		case vm && (drop || reboot):
			return usage.Errorf("--vm changes nothing on this machine: there is nothing to drop, or to restart into")
		case !vm && has.Given(c.Flags()) != "":
			return usage.Errorf("--%s says what a virtual machine has; give --vm, too", has.Given(c.Flags()))
		case drop:
			return s.drop(c, *asJSON)
		}
		trial := reconciler.Trial{Name: names[0], Image: image, Wait: *s.Wait}
		if vm {
			return s.rehearse(c, trial, has, *asJSON)
		}
		return s.try(c, trial, reboot, *asJSON)
	}
	return c
}

func (s Site) try(c *cobra.Command, trial reconciler.Trial, reboot, asJSON bool) error {
	show := screen.New(c.ErrOrStderr())
	r, err := s.Repo(c, show)
	if err != nil {
		return errors.Join(err, show.Close())
	}
	t, err := r.Try(c.Context(), trial)
	if err = errors.Join(err, show.Close()); err != nil {
		return err
	}
	if asJSON {
		err = screen.JSON(c.OutOrStdout(), t)
	} else {
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s boots next, and only then; `gitboot try --drop` takes that back\n", t.Title())
	}
	if err != nil || !reboot {
		return err
	}
	return restart(c, &r.Machine)
}

// rehearsedJSON is how something was judged that was tried in a virtual machine.
type rehearsedJSON struct {
	state.Trial
	virtual.Verdict
}

func (s Site) rehearse(c *cobra.Command, trial reconciler.Trial, has virtual.Hardware, asJSON bool) (err error) {
	o, err := has.Options()
	if err != nil {
		return err
	}
	closeLog, err := has.OpenLog(&o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	show := screen.New(c.ErrOrStderr())
	defer func() { err = errors.Join(err, show.Close()) }()
	r, err := s.Repo(c, show)
	if err != nil {
		return err
	}
	o.Progress, o.Ready = show.Progress(), show.Close
	if !asJSON {
		o.Screen = virtual.Lines(c.ErrOrStderr())
	}
	tried, out, err := reconciler.Rehearse(c.Context(), r, trial, o)
	if err != nil {
		return err
	}
	var fields any
	if asJSON {
		fields = rehearsedJSON{tried, virtual.NewVerdict(out)}
	}
	return virtual.Tell(c, tried.Title(), out, fields)
}

func (s Site) drop(c *cobra.Command, asJSON bool) error {
	m, err := s.machine(c)
	if err != nil {
		return err
	}
	t, err := m.Drop(c.Context(), *s.Wait)
	switch {
	case err != nil:
		return err
	case asJSON:
		return screen.JSON(c.OutOrStdout(), map[string]bool{"dropped": t != nil})
	case t == nil:
		_, err = fmt.Fprintln(c.OutOrStdout(), "nothing to do: nothing is tried")
	default:
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s is tried no more\n", t.Title())
	}
	return err
}
