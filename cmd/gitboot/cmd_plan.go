package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/difference"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/plan"
)

type planOptions struct{ exitCode, json bool }

func newPlan(a *app) *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use:   "plan",
		Short: "Print what reconcile would do, and do none of it",
		Long: `plan prints, in order, exactly what reconcile would do now. It may fetch the
config repo into the stage's clone and ask registries for digests, but changes
nothing that boots. Where there is no stage yet, it makes none. What counts is
committed: of a repo on this machine, --worktree shows what the rest would do.`,
		Example: `  gitboot plan
  gitboot plan --repo ~/fleet --machine laptop --json
  gitboot plan --repo . --worktree
  gitboot plan --exit-code; [ $? = 10 ] && echo "changes are waiting"`,
		Args: usage.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runPlan(c, a, o) },
	}
	a.worktreeFlag(c)
	f := c.Flags()
	f.BoolVar(&o.exitCode, "exit-code", false, "exit with 10 if there is something to change")
	f.BoolVar(&o.json, "json", false, "print JSON with stable fields")
	f.BoolVar(&a.update, "update", false, "look for new digests now, whether or not a schedule is due")
	f.StringVar(&a.acceptRewrite, "accept-rewrite", "", "go on with a config repo whose history was rewritten, if its tip is this `COMMIT`")
	return c
}

func runPlan(c *cobra.Command, a *app, o planOptions) error {
	show := screen.New(c.ErrOrStderr())
	var p plan.Plan
	err := a.looking(c, show, func(r *reconciler.Reconciler) (err error) {
		p, err = r.Plan(c.Context(), a.request())
		return err
	})
	if err = errors.Join(err, show.Close()); err != nil {
		return err
	}
	if err := printPlan(c.OutOrStdout(), p, o.json); err != nil {
		return err
	}
	if err := (reconciler.Result{Failed: p.Failed}).Err(); err != nil {
		return err
	}
	if o.exitCode && !p.Empty() {
		return errHasChanges
	}
	return nil
}

func printPlan(w io.Writer, p plan.Plan, asJSON bool) error {
	if asJSON {
		return screen.JSON(w, toJSON(p))
	}
	return difference.Print(w, p)
}

// planJSON is what plan --json prints.
type planJSON struct {
	Machine string        `json:"machine"`
	From    string        `json:"from"`
	To      string        `json:"to"`
	Bytes   int64         `json:"bytes"`
	Actions []plan.Action `json:"actions"`
	// Holds say why what follows on await-publishing waits.
	Holds []plan.Hold `json:"holds,omitempty"`
	// Space is what becomes of the room on the stage.
	Space *plan.Space `json:"space,omitempty"`
	// Disk is how the machine's disk is declared to be divided.
	Disk []partitionJSON `json:"disk,omitempty"`
}

func toJSON(p plan.Plan) planJSON {
	return planJSON{Machine: p.Machine, From: p.From, To: p.To, Bytes: p.Bytes(), Actions: p.Actions(), Holds: p.Holds, Space: p.Space, Disk: partitionsJSON(p.Disk)}
}

// partitionJSON is one that is declared.
type partitionJSON struct {
	Role string `json:"role"`
	// Words are all that is declared of it, for people.
	Words string `json:"words"`
}

func partitionsJSON(d *layout.Disk) (all []partitionJSON) {
	if d == nil {
		return nil
	}
	for _, p := range d.Partitions {
		all = append(all, partitionJSON{p.Role, p.Words()})
	}
	return all
}
