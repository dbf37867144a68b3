package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/difference"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/plan"
)

type reconcileOptions struct {
	once, now, dryRun, exitCode, json bool
}

func newReconcile(a *app) *cobra.Command {
	var o reconcileOptions
	c := &cobra.Command{
		Use:   "reconcile",
		Short: "Converge this machine's stage and boot menu on the config repo",
		Long: `reconcile fetches the config repo, stages what it wants of this machine and
writes the boot menu. Without --once it goes on doing so, as gitboot agent does.

Until the menu is written, the next boot is what it was before. A run that is
cut short, by ctrl-C or by the power, is taken up by the next one.`,
		Example: `  gitboot reconcile --once
  gitboot reconcile --once --repo https://git.example/fleet.git --machine laptop
  gitboot reconcile --once --exit-code || [ $? = 10 ]
  gitboot reconcile --once --download-only
  gitboot reconcile --now --wait
  gitboot reconcile --poll 5m`,
		Args: usage.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runReconcile(c, a, o) },
	}
	f := c.Flags()
	f.BoolVar(&o.once, "once", false, "make one run and exit")
	f.BoolVar(&o.now, "now", false, "have the running agent look at the config repo now")
	f.BoolVar(&o.dryRun, "dry-run", false, "only print what would be done; the same as gitboot plan")
	f.BoolVar(&o.exitCode, "exit-code", false, "with --once: exit with 10 if something was changed")
	f.BoolVar(&o.json, "json", false, "with --once: print what was done as JSON with stable fields")
	f.BoolVar(&a.update, "update", false, "look for new digests now, whether or not a schedule is due")
	f.BoolVar(&a.wait, "wait", false, "wait for another run to finish instead of failing; with --now: until nothing is left to do")
	f.BoolVar(&a.anyway, "anyway", false, "with --once: make the run though this machine is suspended, or entries may change only at another time")
	f.BoolVar(&a.fetch, "download-only", false, "with --once: fetch and stage all that is new, and publish none of it; the next run does")
	f.BoolVar(&a.retry, "retry", false, "with --once: try what is known to be bad once more")
	f.StringVar(&a.acceptRewrite, "accept-rewrite", "", "go on with a config repo whose history was rewritten, if its tip is this `COMMIT`")
	f.DurationVar(&a.poll, "poll", 0, "without --once: how often to look at the config repo (default 1m)")
	return c
}

// check refuses flags that mean nothing together.
func (o reconcileOptions) check(poll time.Duration, polls, anyway, fetch bool) error {
	switch {
	case polls && poll <= 0:
		return usage.Errorf("--poll %s: give a positive duration", poll)
	case polls && (o.once || o.dryRun || o.now):
		return usage.Errorf("--poll says how often to look; leave it out, or --once, --now and --dry-run")
	case o.now && (o.once || o.dryRun):
		return usage.Errorf("--now has the running agent make a run; leave it out, or --once and --dry-run")
	case o.json && !o.once && !o.dryRun:
		return usage.Errorf("--json prints what one run did; give --once with it")
	case fetch && (!o.once || o.dryRun):
		return usage.Errorf("--download-only is for one run; give --once with it")
	case anyway && !o.once:
		return usage.Errorf("--anyway is for one run of a suspended machine, or outside its windows; give --once with it, or end a suspension with `gitboot resume`")
	case o.exitCode && !o.once && !o.dryRun:
		return usage.Errorf("--exit-code tells what one run did; give --once with it")
	}
	return nil
}

func runReconcile(c *cobra.Command, a *app, o reconcileOptions) error {
	if err := o.check(a.poll, c.Flags().Changed("poll"), a.anyway, a.fetch); err != nil {
		return err
	}
	if o.dryRun {
		return runPlan(c, a, planOptions{exitCode: o.exitCode, json: o.json})
	}
	switch {
	case o.now:
		return askNow(c.Context(), a)
	case !o.once:
		return runAgent(c, a)
	}
	set, err := a.settings()
	if err == nil {
		err = set.Live()
	}
	if err != nil {
		return err
	}
	show := screen.New(c.ErrOrStderr())
	r, err := a.reconciler(c, show)
	if err != nil {
		return errors.Join(err, show.Close())
	}
	began := time.Now()
	result, err := r.Run(c.Context(), a.request())
	if closeErr := show.Close(); err != nil || closeErr != nil {
		return errors.Join(err, closeErr)
	}
	if err := printResult(c.OutOrStdout(), result, time.Since(began), o.json); err != nil {
		return err
	}
	if err := result.Err(); err != nil {
		return err
	}
	if o.exitCode && result.Changed {
		return errHasChanges
	}
	return nil
}

// resultJSON is what reconcile --once --json prints.
type resultJSON struct {
	planJSON
	Changed bool              `json:"changed"`
	Failed  map[string]string `json:"failed"`
	// Unpublished are the images that were not pushed.
	Unpublished map[string]string `json:"unpublished"`
}

func printResult(w io.Writer, result reconciler.Result, took time.Duration, asJSON bool) error {
	if asJSON {
		return screen.JSON(w, resultJSON{toJSON(result.Plan), result.Changed, messages(result.Failed), messages(result.Unpublished)})
	}
	machine, revision, paint := result.Plan.Machine, plan.Short(result.Plan.To), screen.PaintFor(w)
	if result.Changed {
		if err := difference.Actions(w, result.Plan.Actions()); err != nil {
			return err
		}
	}
	var err error
	switch {
	case len(result.Failed) > 0:
		failed := slices.Sorted(maps.Keys(result.Failed))
		_, err = fmt.Fprintf(w, "%s: %s: %s\n", machine, paint.In(screen.Red, "at revision "+revision+", but these images failed and stay as they are"), strings.Join(failed, ", "))
	case len(result.Unpublished) > 0:
		failed := slices.Sorted(maps.Keys(result.Unpublished))
		_, err = fmt.Fprintf(w, "%s: %s: %s\n", machine, paint.In(screen.Red, "converged on revision "+revision+", but these images were not published"), strings.Join(failed, ", "))
	case result.Plan.Held():
		now := "; gitboot approve publishes it now"
		if slices.ContainsFunc(result.Plan.Holds, func(h plan.Hold) bool { return h.Firm }) {
			now = ""
		}
		_, err = fmt.Fprintf(w, "%s: %s waits %s\nWhat it boots is staged, and the menu is what it was%s.\n",
			machine, paint.In(screen.Yellow, "revision "+revision), plan.Words(result.Plan.Holds), now)
	case result.Changed:
		_, err = fmt.Fprintf(w, "%s: %s in %s: %s\n", machine, paint.In(screen.Green, "converged on revision "+revision), took.Round(10*time.Millisecond), difference.Sum(result.Plan))
	default:
		_, err = fmt.Fprintf(w, "%s: nothing to change at revision %s\n", machine, revision)
	}
	return err
}

func messages(errs map[string]error) map[string]string {
	out := map[string]string{}
	for name, err := range errs {
		out[name] = err.Error()
	}
	return out
}
