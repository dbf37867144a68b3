package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
)

func newHistory(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "history",
		Short: "Show the last runs: when, why, what they did and what failed",
		Long: `history lists the last hundred runs that did something or failed, newest first.
The workshop makes images, the machine converges its stage and boot menu. Runs
that found nothing to do are not kept. What people decided is among them, with who it
was and why: pins, approvals and suspensions.`,
		Example: "  gitboot history\n  gitboot history --json | jq '.[0].steps'",
		Args:    usage.NoArgs,
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		set, err := a.settings()
		if err != nil {
			return err
		}
		runs, err := state.Runs(set.StageDir())
		if err != nil {
			return err
		}
		if *asJSON {
			return screen.JSON(c.OutOrStdout(), runs)
		}
		var rows [][]any
		for _, r := range runs {
			rows = append(rows, []any{r.Began.Local().Format(minutes), r.Ended.Sub(r.Began).Round(time.Second), r.Part, cmp.Or(r.By, r.Trigger), plan.Short(r.Revision), author(r), outcome(r)})
		}
		return screen.Table(c.OutOrStdout(), "BEGAN\tTOOK\tPART\tASKED BY\tREVISION\tOF\tWHAT", rows)
	}
	return c
}

// author says whose commit the revision is.
func author(r state.Run) string { return cmp.Or(r.Author, "-") }

// outcome says in a line what a run did and what failed, or what a person did.
func outcome(r state.Run) string {
	if r.Part == state.Person {
		return r.Decision()
	}
	var words []string
	counts := map[plan.Kind]int{}
	for _, s := range r.Steps {
		counts[s.Kind]++
	}
	for _, k := range []struct {
		kind plan.Kind
		what string
	}{
		{plan.BuildImage, "build"}, {plan.AddLayer, "layer"}, {plan.AddDeployment, "deployment"}, {plan.TestDeployment, "boot test"}, {plan.RemoveDeployment, "removal"}, {plan.PushImage, "push"},
	} {
		if n := counts[k.kind]; n > 0 {
			words = append(words, screen.Count(n, k.what))
		}
	}
	for _, s := range r.Steps {
		if s.Kind == plan.NoticeDrift {
			words = append(words, plan.ShortPath(s.Path)+" "+s.Reason)
		}
		if s.Kind == plan.AddDeployment && s.Packages != "" {
			words = append(words, fmt.Sprintf("%s:%d: %s", s.Image, s.Generation, s.Packages))
		}
	}
	if failed := slices.Sorted(maps.Keys(r.Failed)); len(failed) > 0 {
		words = append(words, "failed: "+strings.Join(failed, ", "))
	}
	if len(r.Approved) > 0 {
		words = append(words, "approved by "+strings.Join(r.Approved, " and "))
	}
	if r.Error != "" {
		first, _, _ := strings.Cut(r.Error, "\n")
		words = append(words, "not finished: "+first)
	}
	if len(words) == 0 {
		return "menu"
	}
	return strings.Join(words, ", ")
}
