// Package checkup is the command doctor: what package reconciler/doctor finds, for
// people and for programs.
package checkup

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler/doctor"
)

// New makes the command, for a machine that look describes.
func New(look func(*cobra.Command) (doctor.Patient, error)) *cobra.Command {
	var offline bool
	var patience time.Duration
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether this machine can follow its config repo and boot, and say what to do if not",
		Long: `doctor makes every check that a careful operator would: settings and who can read
their secrets, programs, clock, kernel, config repo and registries, what is given to
other machines, engines, the stage and its space, the boot loader and its menu, Secure
Boot, the service, and what failed last. All are made side by side, and what is wrong
comes with a remedy.

It changes nothing, but fetches the config repo as plan does. It exits with 1 if a
check failed; warnings are no failure.`,
		Example: "  sudo gitboot doctor\n  gitboot doctor --offline\n  gitboot doctor --json | jq '.findings[] | select(.verdict == \"fail\")'",
		Args:    usage.NoArgs,
	}
	c.Flags().BoolVar(&offline, "offline", false, "ask nobody on a network")
	c.Flags().DurationVar(&patience, "timeout", 20*time.Second, "how long one check may take")
	asJSON := c.Flags().Bool("json", false, "print JSON with stable fields")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if patience <= 0 {
			return usage.Errorf("--timeout %s: give a positive duration", patience)
		}
		p, err := look(c)
		if err != nil {
			return err
		}
		p.Offline, p.Patience = offline, patience
		findings, err := doctor.Examine(c.Context(), p)
		if err != nil {
			return err
		}
		return tell(c.OutOrStdout(), findings, *asJSON)
	}
	return c
}

// findingsJSON is what doctor --json prints.
type findingsJSON struct {
	Failed   int              `json:"failed"`
	Warnings int              `json:"warnings"`
	Findings []doctor.Finding `json:"findings"`
}

func tell(w io.Writer, findings []doctor.Finding, asJSON bool) error {
	out := findingsJSON{Findings: findings}
	for _, f := range findings {
		switch f.Verdict {
		case doctor.Fail:
			out.Failed++
		case doctor.Warn:
			out.Warnings++
		}
	}
	if asJSON {
		if err := screen.JSON(w, out); err != nil {
			return err
		}
	} else if err := show(w, out); err != nil {
		return err
	}
	if out.Failed > 0 {
		return fmt.Errorf("%s; what stands above says what to do", screen.Count(out.Failed, "failed check"))
	}
	return nil
}

func colourOf(v doctor.Verdict) screen.Colour {
	switch v {
	case doctor.OK:
		return screen.Green
	case doctor.Warn:
		return screen.Yellow
	case doctor.Fail:
		return screen.Red
	}
	return screen.Bold
}

func show(w io.Writer, out findingsJSON) error {
	paint := screen.PaintFor(w)
	for _, f := range out.Findings {
		verdict := paint.In(colourOf(f.Verdict), fmt.Sprintf("%-4s", f.Verdict))
		about := strings.TrimSpace(f.Check + " " + f.Subject)
		lines := strings.Split(strings.TrimSpace(f.Message), "\n")
		if f.Remedy != "" {
			lines = append(lines, "→ "+f.Remedy)
		}
		if _, err := fmt.Fprintf(w, "%s  %s: %s\n", verdict, about, strings.Join(lines, "\n      ")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%s, %s\n", screen.Count(out.Failed, "failed check"), screen.Count(out.Warnings, "warning"))
	return err
}
