package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler/upkeep"
	"github.com/gitboot/gitboot/stage"
)

func newStageVerify(a *app) *cobra.Command {
	var remove bool
	c := &cobra.Command{Use: "verify", Short: "Read every object again and compare it with its digest", Args: usage.NoArgs,
		Long: `verify reads the whole stage and exits with 1 if anything is damaged.

A damaged object keeps its place, because a deployment may be running from it.
--remove takes away what is damaged and not part of the running deployment; the
next reconcile makes again what is wanted.`,
		Example: "  gitboot stage verify\n  gitboot stage verify --remove; gitboot reconcile --once"}
	c.Flags().BoolVar(&remove, "remove", false, "remove what is damaged, for the next reconcile to make again")
	c.Flags().BoolVar(&a.wait, "wait", false, "with --remove: wait for another run to finish instead of failing")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if a.wait && !remove {
			return usage.Errorf("--wait is for --remove; verify alone takes no lock")
		}
		show := screen.New(c.ErrOrStderr())
		cfg, err := a.localConfig(show)
		if err != nil {
			return errors.Join(err, show.Close())
		}
		found, err := upkeep.Verify(c.Context(), cfg, a.wait, remove)
		if err = errors.Join(err, show.Close()); err != nil && len(found.Damage) == 0 {
			return err
		}
		err = errors.Join(err, printDamage(c.OutOrStdout(), found.Damage, *asJSON), damageError(found.Damage, remove))
		printMended(c.ErrOrStderr(), found.Mended)
		return err
	}
	return c
}

func printDamage(w io.Writer, damage []stage.Damage, asJSON bool) error {
	if asJSON {
		return screen.JSON(w, append([]stage.Damage{}, damage...))
	}
	for _, d := range damage {
		line := d.Path + ": " + d.What
		for i, id := range d.Deployments {
			line += map[bool]string{true: "; needed by ", false: ", "}[i == 0] + id[:min(len(id), 12)]
		}
		if _, err := fmt.Fprintf(w, "%s; %s\n", line, d.Remedy); err != nil {
			return err
		}
	}
	return nil
}

func damageError(damage []stage.Damage, removed bool) error {
	switch {
	case len(damage) == 0:
		return nil
	case removed:
		return errors.New("the stage was damaged; reconcile to make again what is wanted")
	}
	return fmt.Errorf("the stage is damaged in %s; `gitboot stage verify --remove` takes away what the next reconcile makes again", screen.Count(len(damage), "place"))
}

func printMended(w io.Writer, mended []stage.Mended) {
	for _, m := range mended {
		if m.Kept {
			fmt.Fprintf(w, "kept %s: the running system needs it; boot another entry first\n", m.Path)
		} else {
			fmt.Fprintf(w, "removed %s\n", m.Path)
		}
	}
}
