package virtual

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
)

// A Verdict is how a machine was judged.
type Verdict struct {
	Good bool `json:"good"`
	// Reason says why it is not, Warnings what should have been well.
	Reason   string   `json:"reason,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// Seconds is how long it took, Accelerator kvm or tcg.
	Seconds     float64 `json:"seconds"`
	Accelerator string  `json:"accelerator"`
	// Console are the last lines of what is not good.
	Console []string `json:"console,omitempty"`
}

// NewVerdict is how a rehearsal went.
func NewVerdict(out rehearsal.Outcome) Verdict {
	v := Verdict{
		Good: out.Good, Reason: out.Reason, Warnings: out.Warnings,
		Seconds: out.Took.Round(time.Millisecond).Seconds(), Accelerator: string(out.Accel),
	}
	if !out.Good {
		v.Console = out.Console
	}
	return v
}

// Tell prints how a machine was judged: as JSON what that says of it, if that is not
// nil. What is not good is an error.
func Tell(c *cobra.Command, what string, out rehearsal.Outcome, asJSON any) error {
	if asJSON != nil {
		if err := screen.JSON(c.OutOrStdout(), asJSON); err != nil {
			return err
		}
	}
	switch {
	case !out.Good:
		return fmt.Errorf("%s is not good: %s", what, out.Reason)
	case asJSON != nil:
		return nil
	}
	for _, w := range out.Warnings {
		fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s is good, after %.0f s (%s)\n", what, out.Took.Seconds(), out.Accel)
	return err
}

// Lines prints what a machine does, as text.
func Lines(to io.Writer) io.Writer {
	return plain.Lines(func(line string) { fmt.Fprintln(to, line) })
}
