package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/upkeep"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/damage"
)

func newStage(a *app) *cobra.Command {
	return usage.Group("stage", "Look after what is staged",
		newStageList(a), newStageVerify(a), newStageGC(a), newStageExport(a), newStageImport(a), newStageRemove(a))
}

type deploymentJSON struct {
	Deployment string `json:"deployment"`
	Image      string `json:"image"`
	Kernel     string `json:"kernel"`
	Layers     int    `json:"layers"`
	Bytes      int64  `json:"bytes"`
}

func newStageList(a *app) *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the deployments on the stage", Args: usage.NoArgs,
		Example: "  gitboot stage list --json"}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		st, err := a.openStage()
		list := []deploymentJSON{}
		if err == nil {
			list, err = listDeployments(st)
		}
		if err != nil && !errors.Is(err, stage.ErrNone) {
			return err
		}
		if *asJSON {
			return screen.JSON(c.OutOrStdout(), list)
		}
		var rows [][]any
		for _, d := range list {
			rows = append(rows, []any{plan.Short(d.Deployment), d.Image, d.Kernel, d.Layers, progress.Bytes(d.Bytes)})
		}
		return screen.Table(c.OutOrStdout(), "DEPLOYMENT\tIMAGE\tKERNEL\tLAYERS\tSIZE", rows)
	}
	return c
}

func listDeployments(st *stage.Stage) ([]deploymentJSON, error) {
	ids, err := st.Deployments()
	if err != nil {
		return nil, err
	}
	list := []deploymentJSON{}
	for _, id := range ids {
		m, err := st.Deployment(id)
		if err != nil {
			return nil, err
		}
		d := deploymentJSON{Deployment: id, Image: m.Image, Kernel: m.KernelVersion, Layers: len(m.Layers)}
		for _, obj := range m.Objects() {
			d.Bytes += obj.Size
		}
		list = append(list, d)
	}
	return list, nil
}

func newStageGC(a *app) *cobra.Command {
	var dry bool
	c := &cobra.Command{Use: "gc", Short: "Remove objects that no deployment names, and old build cache", Args: usage.NoArgs,
		Long:    "gc removes objects that no deployment names, of the engines' build cache what is\nbeyond cache_size (agent.toml), and damaged objects that were replaced, but for\nthose that the running deployment may still read.",
		Example: "  gitboot stage gc --dry-run"}
	c.Flags().BoolVar(&dry, "dry-run", false, "only say which objects would be removed")
	c.Flags().BoolVar(&a.wait, "wait", false, "wait for another run to finish instead of failing")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := a.localConfig(nil)
		if err != nil {
			return err
		}
		collected, err := upkeep.Collect(c.Context(), cfg, a.wait, dry)
		if err != nil {
			return err
		}
		if *asJSON {
			return screen.JSON(c.OutOrStdout(), map[string]any{"objects": collected.Objects, "bytes": collected.Bytes, "cacheBytes": collected.Cache, "quarantineBytes": collected.Quarantine.Bytes, "dryRun": dry})
		}
		text := fmt.Sprintf("%s: %s, %s", map[bool]string{false: "removed", true: "would remove"}[dry], screen.Count(collected.Objects, "object"), progress.Bytes(collected.Bytes))
		if collected.Cache > 0 {
			text += ", and " + progress.Bytes(collected.Cache) + " of the build cache"
		}
		if n := collected.Quarantine; n.Objects > 0 {
			text += ", and of the quarantine " + screen.Count(n.Objects, "damaged object") + ", " + progress.Bytes(n.Bytes)
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), text)
		return err
	}
	return c
}

func newStageRemove(a *app) *cobra.Command {
	c := &cobra.Command{Use: "remove NAME", Short: "Take one generation off the stage and out of the menu", Args: usage.Args(cobra.ExactArgs(1)), ValidArgsFunction: a.completeGenerations(false),
		Example: "  gitboot stage remove desktop:2"}
	c.Flags().BoolVar(&a.wait, "wait", false, "wait for another run to finish instead of failing")
	c.RunE = func(c *cobra.Command, names []string) error {
		r, err := a.stageReconciler(c, nil)
		if err != nil {
			return err
		}
		found, err := r.Machine.Remove(c.Context(), names[0], a.wait)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "removed %s:%d (%s)\n", found.Image, found.N, plan.Short(found.Deployment))
		return err
	}
	return c
}

func newStageVerify(a *app) *cobra.Command {
	var remove, quarantine bool
	c := &cobra.Command{Use: "verify", Short: "Read every object again and compare it with its digest", Args: usage.NoArgs,
		Long: `verify reads the whole stage and exits with 1 if anything is damaged.

A damaged object keeps its place, because a deployment may be running from it.
--quarantine has the next reconcile fetch or make others in place of damaged
objects, those of the running deployment too; until then, the menu says which
entries need them, and boots none of these by itself if there is another. What is
replaced is kept aside until gitboot stage gc. --remove takes away at once what is
damaged and not part of the running deployment.

A running agent verifies the stage by itself, see verify in agent.toml.`,
		Example: "  gitboot stage verify\n  gitboot stage verify --quarantine; gitboot reconcile --once"}
	c.Flags().BoolVar(&quarantine, "quarantine", false, "have the next reconcile put others in the place of damaged objects")
	c.Flags().BoolVar(&remove, "remove", false, "remove what is damaged, for the next reconcile to make again")
	c.Flags().BoolVar(&a.wait, "wait", false, "with --quarantine or --remove: wait for another run to finish instead of failing")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		mend := upkeep.Leave
		switch {
		case quarantine && remove:
			return usage.Errorf("--quarantine and --remove: name one of them")
		case quarantine:
			mend = upkeep.Quarantine
		case remove:
			mend = upkeep.Remove
		}
		if a.wait && mend == upkeep.Leave {
			return usage.Errorf("--wait is for --quarantine and --remove; verify alone takes no lock")
		}
		show := screen.New(c.ErrOrStderr())
		cfg, err := a.localConfig(show)
		if err != nil {
			return errors.Join(err, show.Close())
		}
		found, err := upkeep.Verify(c.Context(), cfg, a.wait, mend)
		if err = errors.Join(err, show.Close()); err != nil && len(found.Damage) == 0 {
			return err
		}
		err = errors.Join(err, printDamage(c.OutOrStdout(), found.Damage, *asJSON), damageError(found.Damage, mend))
		printMended(c.ErrOrStderr(), found.Mended)
		return err
	}
	return c
}

func printDamage(w io.Writer, found []damage.Found, asJSON bool) error {
	if asJSON {
		return screen.JSON(w, append([]damage.Found{}, found...))
	}
	for _, d := range found {
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

func damageError(found []damage.Found, mend upkeep.Mending) error {
	switch {
	case len(found) == 0:
		return nil
	case mend != upkeep.Leave:
		return errors.New("the stage was damaged; reconcile to make again what is wanted")
	}
	return fmt.Errorf("the stage is damaged in %s; `gitboot stage verify --quarantine` has the next reconcile put others in their place", screen.Count(len(found), "place"))
}

func printMended(w io.Writer, mended []damage.Mended) {
	for _, m := range mended {
		if m.Kept {
			fmt.Fprintf(w, "kept %s: the running system needs it; boot another entry first\n", m.Path)
		} else {
			fmt.Fprintf(w, "removed %s\n", m.Path)
		}
	}
}
