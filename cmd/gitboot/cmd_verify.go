package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/stage"
)

func newStageVerify(a *app) *cobra.Command {
	var remove bool
	c := &cobra.Command{Use: "verify", Short: "Read every object again and compare it with its digest", Args: noArgs,
		Long: `verify reads the whole stage and exits with 1 if anything is damaged.

A damaged object keeps its place, because a deployment may be running from it.
--remove takes away what is damaged and not part of the running deployment; the
next reconcile makes again what is wanted.`,
		Example: "  gitboot stage verify\n  gitboot stage verify --remove; gitboot reconcile --once"}
	c.Flags().BoolVar(&remove, "remove", false, "remove what is damaged, for the next reconcile to make again")
	c.Flags().BoolVar(&a.wait, "wait", false, "with --remove: wait for another run to finish instead of failing")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if a.wait && !remove {
			return usageError{errors.New("--wait is for --remove; verify alone takes no lock")}
		}
		st, err := a.openStage()
		if err != nil {
			return err
		}
		if remove {
			lock, err := st.Lock(c.Context(), a.wait)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, lock.Release()) }()
		}
		damage, err := verifyStage(c.Context(), st, c.ErrOrStderr())
		if err != nil {
			return err
		}
		if err := printDamage(c.OutOrStdout(), damage, *asJSON); err != nil {
			return err
		}
		if remove {
			err = removeDamaged(st, damage, c.ErrOrStderr())
		}
		return errors.Join(err, damageError(damage, remove))
	}
	return c
}

func verifyStage(ctx context.Context, st *stage.Stage, progress io.Writer) ([]stage.Damage, error) {
	show := newDisplay(progress)
	damage, err := st.Verify(ctx, show.progress())
	return damage, errors.Join(err, show.close())
}

func printDamage(w io.Writer, damage []stage.Damage, asJSON bool) error {
	if asJSON {
		return printJSON(w, append([]stage.Damage{}, damage...))
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
	return fmt.Errorf("the stage is damaged in %s; `gitboot stage verify --remove` takes away what the next reconcile makes again", count(len(damage), "place"))
}

func removeDamaged(st *stage.Stage, damage []stage.Damage, w io.Writer) error {
	running, err := readCmdline()
	if err != nil {
		return err
	}
	mended, err := st.RemoveDamaged(damage, running.Deployment)
	for _, m := range mended {
		if m.Kept {
			fmt.Fprintf(w, "kept %s: the running system needs it; boot another entry first\n", m.Path)
		} else {
			fmt.Fprintf(w, "removed %s\n", m.Path)
		}
	}
	return err
}
