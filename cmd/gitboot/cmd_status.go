package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/reconciler/plan"
)

func newStatus(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what is staged, what is booted and what failed",
		Long: `status reads the stage alone; it asks neither the config repo nor a registry.
It exits with 1 if an image failed in the last run.`,
		Example: "  gitboot status\n  gitboot status --json | jq '.images[].failure'",
		Args:    noArgs,
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return runStatus(c, a, *asJSON) }
	return c
}

func runStatus(c *cobra.Command, a *app, asJSON bool) error {
	r, err := a.stageReconciler(c, nil)
	if err != nil {
		return err
	}
	s, err := r.Status()
	if err != nil {
		return err
	}
	w := c.OutOrStdout()
	if asJSON {
		return printJSON(w, s)
	}
	if s.Revision == "" {
		_, err := fmt.Fprintf(w, "nothing staged in %s yet; run `gitboot reconcile --once`\n", s.Stage)
		return err
	}
	fmt.Fprintf(w, "machine %s at revision %s, stage %s\n", s.Machine, plan.Short(s.Revision), s.Stage)
	var rows [][]any
	var failure error
	for _, img := range s.Images {
		for i, g := range img.Generations {
			name := img.Name
			if i > 0 {
				name = ""
			}
			note := g.Damaged
			if g.Booted {
				note = "booted " + note
			}
			rows = append(rows, []any{name, g.Generation, plan.Short(g.Deployment), plan.Short(g.Digest), g.Created.Local().Format("2006-01-02 15:04"), note})
		}
		if img.Failure != nil {
			failure = fmt.Errorf("image %q has failed since %s: %s", img.Name, img.Failure.Since.Local().Format("2006-01-02 15:04"), img.Failure.Message)
		}
	}
	if err := table(w, "IMAGE\tGENERATION\tDEPLOYMENT\tDIGEST\tCREATED\tNOTE", rows); err != nil {
		return err
	}
	return failure
}
