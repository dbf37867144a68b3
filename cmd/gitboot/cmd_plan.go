package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

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
		Args: noArgs,
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
	show := newDisplay(c.ErrOrStderr())
	var p plan.Plan
	err := a.looking(c, show, func(r *reconciler.Reconciler) (err error) {
		p, err = r.Plan(c.Context())
		return err
	})
	if err = errors.Join(err, show.close()); err != nil {
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

// planJSON is what plan --json prints.
type planJSON struct {
	Machine string        `json:"machine"`
	From    string        `json:"from"`
	To      string        `json:"to"`
	Bytes   int64         `json:"bytes"`
	Actions []plan.Action `json:"actions"`
}

func toJSON(p plan.Plan) planJSON {
	return planJSON{Machine: p.Machine, From: p.From, To: p.To, Bytes: p.Bytes(), Actions: p.Actions()}
}

func printPlan(w io.Writer, p plan.Plan, asJSON bool) error {
	if asJSON {
		return printJSON(w, toJSON(p))
	}
	if p.Empty() && len(p.Failed) == 0 {
		_, err := fmt.Fprintf(w, "%s: nothing to change at revision %s\n", p.Machine, plan.Short(p.To))
		return err
	}
	if _, err := fmt.Fprintf(w, "%s: revision %s → %s\n", p.Machine, cmp.Or(plan.Short(p.From), "none"), plan.Short(p.To)); err != nil {
		return err
	}
	return printActions(w, p.Actions())
}

// actionNames are the words for people.
func actionName(k plan.Kind) string { return strings.ReplaceAll(string(k), "-", " ") }

func printActions(w io.Writer, actions []plan.Action) error {
	for _, a := range actions {
		if _, err := fmt.Fprintf(w, "  %-18s %s\n", actionName(a.Kind), describe(a)); err != nil {
			return err
		}
		if a.Packages == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "  %-18s packages: %s\n", "", a.Packages); err != nil {
			return err
		}
	}
	return nil
}

// describe says what an action is done to, and why, on one line: all that a
// failed build said is told once, in the command's error.
func describe(a plan.Action) string {
	var words []string
	if a.Image != "" {
		words = append(words, a.Image)
	}
	if a.Generation > 0 {
		words = append(words, fmt.Sprintf("generation %d", a.Generation))
	}
	if a.Subject != "" {
		words = append(words, plan.Short(a.Subject))
	}
	if a.Ref != "" {
		words = append(words, a.Ref)
	}
	if a.Bytes > 0 {
		words = append(words, "("+byteSize(a.Bytes)+")")
	}
	what := strings.Join(words, " ")
	if what != "" && a.Reason != "" {
		what += ": "
	}
	reason, _, long := strings.Cut(a.Reason, "\n")
	if long {
		reason = strings.TrimSuffix(reason, ":") + " …"
	}
	return what + reason
}

func byteSize(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	div, exp := int64(unit), 0
	for m := n / unit; m >= unit; m /= unit {
		div *= unit
		exp++
	}
	return fmt.Sprintf("%.1f %cB", float64(n)/float64(div), "kMGTPE"[exp])
}
