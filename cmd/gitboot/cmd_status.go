package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/agent/control"
	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/settings"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/reconciler/revert"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage/damage"
)

// minutes is how times are shown to people.
const minutes = "2006-01-02 15:04"

func newStatus(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what is staged, what is booted and what failed",
		Long: `status reads the stage, and asks the agent, if one is running, what it does and
waits for; it asks neither the config repo nor a registry. The generation that the entry
without graphics drivers boots, where one is declared, is noted. It exits with 1 if the
last run failed, or in it an image, or its push.`,
		Example: "  gitboot status\n  gitboot status --watch\n  gitboot status --json | jq '.images[].failure'",
		Args:    usage.NoArgs,
	}
	asJSON := jsonFlag(c)
	watch := c.Flags().Bool("watch", false, "go on showing what the running agent does, until ctrl-C; with --json one document a line")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *watch {
			return watchStatus(c, a, *asJSON)
		}
		return runStatus(c, a, *asJSON)
	}
	return c
}

// status asks the agent, or reads the stage where none answers that works on it.
func (a *app) status(c *cobra.Command) (control.Status, error) {
	set, err := a.settings()
	if err != nil {
		return control.Status{}, err
	}
	if agent, err := a.client(); err == nil {
		if s, err := agent.Status(c.Context()); err == nil && s.Stage == set.StageDir() {
			return s, nil
		}
	}
	s, err := a.staged(c)
	s.Live = set.Live() != nil
	return control.Status{Status: s}, err
}

// watchStatus shows what the agent does for as long as it is wanted.
func watchStatus(c *cobra.Command, a *app, asJSON bool) error {
	agent, err := a.client()
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	return ended(agent.Watch(c.Context(), func(s control.Status) error {
		if asJSON {
			return json.NewEncoder(out).Encode(s)
		}
		return screen.Redraw(out, func(w io.Writer) error { return printStatus(w, s) })
	}))
}

// staged reads the stage. One that is not there yet has nothing on it.
func (a *app) staged(c *cobra.Command) (s report.Status, err error) {
	cfg, err := configOf(a, c, nil, settings.Settings.Staged)
	if err != nil {
		return s, err
	}
	err = preview(cfg, func(r *reconciler.Reconciler) (err error) {
		s, err = r.Status(c.Context())
		return err
	})
	return s, err // which the call has set
}

func runStatus(c *cobra.Command, a *app, asJSON bool) error {
	s, err := a.status(c)
	if err != nil {
		return err
	}
	w := c.OutOrStdout()
	switch {
	case asJSON:
		err = screen.JSON(w, s)
	case !s.Live && s.Revision == "" && len(s.Images) == 0 && s.Agent == nil && s.Waiting == nil:
		_, err = fmt.Fprintf(w, "nothing staged in %s yet; run `gitboot reconcile --once`\n", s.Stage)
	default:
		err = printStatus(w, s)
	}
	return errors.Join(err, failures(s.Status))
}

func printStatus(w io.Writer, s control.Status) error {
	fmt.Fprintf(w, "machine %s at revision %s, stage %s\n", s.Machine, cmp.Or(plan.Short(s.Revision), "none"), s.Stage)
	if line := s.Starts(); line != "" {
		fmt.Fprintln(w, line)
	}
	if s.Live {
		fmt.Fprintln(w, "this system runs from a medium: nothing of this changes")
	}
	if s.Suspension != nil {
		fmt.Fprintf(w, "%s: nothing changes by itself\n", screen.PaintFor(w).In(screen.Red, "suspended "+s.Suspension.Words()))
	}
	if t := s.Trial; t != nil {
		fmt.Fprintf(w, "trying %s: %s\n", t.Title(), whenTried(t))
	}
	if f := s.Testing; f != nil {
		fmt.Fprintf(w, "%s since %s: %s\n", screen.PaintFor(w).In(screen.Yellow, "the branch testing/"+s.Machine+" is left alone"), f.Since.Local().Format(minutes), f.Message)
	}
	if s.Clock != "" {
		fmt.Fprintf(w, "%s: nothing is done by the clock\n", screen.PaintFor(w).In(screen.Red, s.Clock))
	}
	if s.Waiting != nil {
		fmt.Fprintf(w, "%s waits %s\n", screen.PaintFor(w).In(screen.Yellow, "revision "+plan.Short(s.Waiting.Revision)), plan.Words(s.Waiting.Holds))
	}
	switch paint := screen.PaintFor(w); {
	case s.Mode == boot.ModeManaged && s.Uncounted != "" && s.Stage != "":
		fmt.Fprintf(w, "%s: %s\n", paint.In(screen.Yellow, "boots of what is new are not counted"), s.Uncounted)
	case s.Mode == boot.ModeManaged && s.Default == "" && slices.ContainsFunc(s.Images, report.ImageStatus.Staged):
		fmt.Fprintf(w, "%s: GRUB's own default boots, which is the first of these if there is no other system\n", paint.In(screen.Red, "everything here is bad"))
	}
	if s.Reboot.Needed {
		fmt.Fprintf(w, "a reboot is needed: %s\n", s.Reboot.Line())
	}
	printDrift(w, s.Drift)
	for _, r := range s.Reverts {
		if !r.Done() || s.Newest(r.Image) == r.Deployment {
			fmt.Fprintln(w, revert.Words(r))
		}
	}
	if v := s.Verified; v != nil {
		fmt.Fprintf(w, "the stage was verified %s: %s\n", v.Ended.Local().Format(minutes), damageFound(v.Damage))
	}
	if s.Agent != nil {
		printAgent(w, *s.Agent, time.Now())
	}
	var rows [][]any
	for _, img := range s.Images {
		if !img.Staged() {
			rows = append(rows, []any{img.Name, "-", "-", "-", "-", "not staged yet"})
		}
		for _, g := range img.Generations {
			rows = append(rows, []any{img.Name, g.Generation, plan.Short(g.Deployment), plan.Short(g.Digest), g.Created.Local().Format(minutes), note(s.Status, img, g)})
		}
	}
	return errors.Join(screen.Table(w, "IMAGE\tGENERATION\tDEPLOYMENT\tDIGEST\tCREATED\tNOTE", rows), printPushes(w, s.Pushes), printSigns(w, s.Signs))
}

// printDrift shows what is not as it was written, and what was put right last.
func printDrift(w io.Writer, drift []plan.Drift) {
	standing := plan.Standing(drift)
	for _, d := range standing {
		fmt.Fprintf(w, "%s, noticed %s\n", screen.PaintFor(w).In(screen.Red, d.String()), d.Noticed.Local().Format(minutes))
	}
	if n := len(drift) - len(standing); n > 0 {
		last := drift[0]
		for _, d := range drift {
			if !d.Mended.Before(last.Mended) {
				last = d
			}
		}
		fmt.Fprintf(w, "put right %s what was not as it was written, last: %s, noticed %s\n", times(n), last, last.Noticed.Local().Format(minutes))
	}
}

// whenTried says when a trial boots, or what becomes of it.
func whenTried(t *report.TrialStatus) string {
	switch {
	case t.Booted:
		return "it runs now, and goes after the next boot"
	case t.Asked:
		return "it boots next, and only then"
	}
	return "it was booted and left; the next reconcile removes it"
}

// printPushes shows what this machine publishes, if anything.
func printPushes(w io.Writer, pushes []report.PushStatus) error {
	var rows [][]any
	for _, p := range pushes {
		if p.Digest != "" {
			rows = append(rows, []any{p.Image, p.Ref, p.Tag, plan.Short(p.Digest), p.Time.Local().Format(minutes)})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return screen.Table(w, "PUBLISHED\tREFERENCE\tTAG\tDIGEST\tTIME", rows)
}

// printSigns shows what this machine signs for others, if anything.
func printSigns(w io.Writer, signs []report.SigningStatus) error {
	var rows [][]any
	for _, s := range signs {
		for _, img := range s.Images {
			rows = append(rows, []any{s.Machine, img.Image, plan.Short(img.Deployment), img.Ref, img.Time.Local().Format(minutes)})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return screen.Table(w, "SIGNED FOR\tIMAGE\tDEPLOYMENT\tREFERENCE\tTIME", rows)
}

// note says what is special about a generation. Only the one that boots by itself is
// on trial: what was replaced before it had proved itself is not tried any more.
func note(s report.Status, img report.ImageStatus, g report.GenerationStatus) string {
	var notes []string
	if img.Within != "" && img.Digest == g.Digest {
		notes = append(notes, img.Within+" → "+img.Tag)
	}
	if g.Booted {
		notes = append(notes, "booted")
	}
	switch v := g.Verdict; {
	case v == nil:
	case g.State == boot.Trying && g.Entry != s.Default:
		notes = append(notes, "never proved")
	case g.State == boot.Trying:
		notes = append(notes, fmt.Sprintf("on trial, %s left", screen.Count(v.Left, "boot")))
	case v.Reason != "":
		notes = append(notes, g.State+": "+v.Reason)
	default:
		notes = append(notes, g.State)
	}
	if g.Pin != nil {
		notes = append(notes, strings.TrimSuffix("pinned: "+g.Pin.Label, ": "))
	}
	if g.Damaged != "" {
		notes = append(notes, g.Damaged)
	}
	if g.Hidden != "" {
		notes = append(notes, g.Hidden)
	}
	if safe := s.SafeGraphics; safe != nil && safe.Image == img.Name && safe.Generation == g.Generation {
		notes = append(notes, safeNote(*safe))
	}
	if g.Packages != nil {
		notes = append(notes, "packages: "+g.Packages.String())
	}
	if words := g.Fetched.Words(); words != "" {
		notes = append(notes, "fetched: "+words)
	}
	return strings.Join(notes, "; ")
}

// safeNote is of the generation that the entry without graphics drivers boots.
func safeNote(safe report.SafeStatus) string {
	if safe.Hidden {
		return safe.Entry + " is " + unshown
	}
	return "also as " + safe.Entry
}

// failures are those of the last run, which stand until a run without them.
func failures(s report.Status) error {
	var errs []error
	told := map[string]bool{}
	if f := s.Failure; f != nil {
		errs = append(errs, fmt.Errorf("the last run%s failed, as runs have since %s: %s", revision(f), f.Since.Local().Format(minutes), f.Message))
	}
	for _, b := range s.Builds {
		if b.Failure != nil {
			told[b.Image] = true
			errs = append(errs, fmt.Errorf("image %q has failed since %s: %s%s", b.Image, b.Failure.Since.Local().Format(minutes), b.Failure.Message, retry(b.Failure)))
		}
	}
	for _, img := range s.Images {
		if img.Failure != nil && !told[img.Name] {
			errs = append(errs, fmt.Errorf("image %q has failed since %s: %s", img.Name, img.Failure.Since.Local().Format(minutes), img.Failure.Message+retry(img.Failure)))
		}
	}
	for _, img := range s.Images {
		if g := img.Bad(); g != nil {
			errs = append(errs, fmt.Errorf("image %q: generation %d is bad since %s: %s", img.Name, g.Generation, g.Verdict.Since.Local().Format(minutes), g.Verdict.Reason))
		}
	}
	if r := s.Recovery; r != nil && r.Failure != nil {
		errs = append(errs, fmt.Errorf("the recovery entry could not be made since %s: %s", r.Failure.Since.Local().Format(minutes), r.Failure.Message+retry(r.Failure)))
	}
	for _, p := range s.Pushes {
		if p.Failure != nil {
			errs = append(errs, fmt.Errorf("image %q has not been pushed since %s: %s", p.Image, p.Failure.Since.Local().Format(minutes), p.Failure.Message+retry(p.Failure)))
		}
	}
	for _, one := range s.Signs {
		if f := one.Failure; f != nil {
			errs = append(errs, fmt.Errorf("what machine %s boots has not been signed since %s: %s", one.Machine, f.Since.Local().Format(minutes), f.Message+retry(f)))
		}
	}
	return errors.Join(errs...)
}

func revision(f *state.Failure) string {
	if f.Revision == "" {
		return ""
	}
	return " (revision " + plan.Short(f.Revision) + ")"
}

// retry says when what failed is tried again.
func retry(f *state.Failure) string {
	if f.Attempts == 0 {
		return ""
	}
	return fmt.Sprintf("\nit was tried %s; the polling reconcile tries it again at %s, or when something changes", times(f.Attempts), f.Next.Local().Format(minutes))
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return screen.Count(n, "time")
}

// damageFound says how much was damaged when the stage was verified.
func damageFound(found []damage.Found) string {
	if len(found) == 0 {
		return "nothing was damaged"
	}
	return fmt.Sprintf("it was damaged in %s, first %s (%s)", screen.Count(len(found), "place"), found[0].Path, found[0].What)
}
