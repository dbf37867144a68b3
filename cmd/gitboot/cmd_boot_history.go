package main

import (
	"cmp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/state"
)

func newBootHistory(a *app) *cobra.Command {
	c := &cobra.Command{Use: "history", Short: "Show how the machine was booted, and what became of it", Args: usage.NoArgs,
		Long: `history lists the last hundred boots, newest first: what was booted, whether it was on
trial, what started the kernel (the boot loader, or the kernel before it, by kexec),
whether it proved good or bad, how long that took, and why. What the kernel said last is
in --json, and told by boot log --kernel.`,
		Example: "  gitboot boot history\n  gitboot boot history --json | jq -r '.[] | select(.verdict == \"bad\") | .log'",
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		set, err := a.settings()
		if err != nil {
			return err
		}
		boots, err := deployment.ReadBoots(set.StageDir())
		if err != nil {
			return err
		}
		if *asJSON {
			return screen.JSON(c.OutOrStdout(), append([]deployment.Boot{}, boots...))
		}
		doc, err := state.LoadMachine(set.StageDir())
		if err != nil {
			return err
		}
		var rows [][]any
		for _, b := range boots {
			rows = append(rows, []any{b.Started.Local().Format(minutes), bootedName(doc, b), screen.Mark(b.Trying), bootedVia(b), cmp.Or(b.Verdict, "-"), took(b), bootNote(b)})
		}
		return screen.Table(c.OutOrStdout(), "STARTED\tWHAT\tTRYING\tVIA\tVERDICT\tTOOK\tNOTE", rows)
	}
	return c
}

// bootedName is what was booted, as commands name it as long as it is on the stage.
func bootedName(doc *state.Machine, b deployment.Boot) string {
	if b.Deployment == "" && b.Crash != "" {
		return "not known"
	}
	if b.Deployment == "" {
		return "another system"
	}
	if found, err := doc.Find(b.Deployment); err == nil {
		return found.Name()
	}
	return b.Deployment[:min(len(b.Deployment), 12)]
}

// bootedVia is what started the kernel.
func bootedVia(b deployment.Boot) string {
	if b.Deployment == "" {
		return "-" // which another system does not say
	}
	return cmp.Or(b.Via, "boot loader")
}

// took is how long it took until it was decided.
func took(b deployment.Boot) string {
	if b.Seconds == 0 {
		return "-"
	}
	return time.Duration(b.Seconds * float64(time.Second)).Round(time.Second).String()
}

func bootNote(b deployment.Boot) string {
	return strings.Join(append([]string{cmp.Or(b.Reason, deployment.Ending(b.Crash), "-")}, b.Warnings...), "; ")
}
