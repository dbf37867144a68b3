package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/rootfs/packages"
)

// maxRows is how many packages image diff shows to people.
const maxRows = 50

func newImageDiff(a *app) *cobra.Command {
	c := &cobra.Command{Use: "diff [A] B", Short: "Show which packages changed between two generations", Args: usage.Args(cobra.RangeArgs(1, 2)), ValidArgsFunction: a.completeGenerations(true),
		Long: fmt.Sprintf(`diff compares the package databases of two generations on the stage: those of
dpkg, apk, pacman, xbps and rpm. Nothing is mounted or executed, and no package
manager is needed.

A generation is named as elsewhere: IMAGE for its newest, IMAGE:N, or the
beginning of a deployment's id. With one name it is compared with the generation
before it. At most %d packages are listed; --json lists all.`, maxRows),
		Example: `  gitboot image diff desktop               # the newest, and the one before
  gitboot image diff desktop:3 desktop:5
  gitboot image diff desktop router --json | jq '.changes[].name'`}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, names []string) error {
		r, err := a.stageReconciler(c, nil)
		if err != nil {
			return err
		}
		from := ""
		if len(names) == 2 {
			from = names[0]
		}
		d, err := report.Compare(c.Context(), r.Machine.Stage, from, names[len(names)-1])
		if err != nil {
			return err
		}
		if *asJSON {
			return screen.JSON(c.OutOrStdout(), diffJSON{d, packages.Summarize(d.Changes).Count})
		}
		return printDiff(c.OutOrStdout(), d)
	}
	return c
}

// diffJSON is what image diff --json prints.
type diffJSON struct {
	report.Diff
	Packages packages.Count `json:"packages"`
}

func printDiff(w io.Writer, d report.Diff) error {
	fmt.Fprintf(w, "%s:%d → %s:%d\n", d.From.Image, d.From.Generation, d.To.Image, d.To.Generation)
	fmt.Fprintf(w, "layers: %s shared, %s new, %s gone\n", layerCount(d.Shared), layerCount(d.New), layerCount(d.Gone))
	if !d.Databases {
		_, err := fmt.Fprintln(w, "packages: neither has a database of dpkg, apk, pacman, xbps or rpm")
		return err
	}
	if _, err := fmt.Fprintf(w, "packages: %s\n", packages.Summarize(d.Changes).Count); err != nil || len(d.Changes) == 0 {
		return err
	}
	var rows [][]any
	for _, c := range d.Changes[:min(len(d.Changes), maxRows)] {
		rows = append(rows, []any{c.Op, c.Name, screen.OrDash(c.From), screen.OrDash(c.To)})
	}
	if err := screen.Table(w, "CHANGE\tPACKAGE\tFROM\tTO", rows); err != nil {
		return err
	}
	if more := len(d.Changes) - maxRows; more > 0 {
		_, err := fmt.Fprintf(w, "and %d more; --json lists all\n", more)
		return err
	}
	return nil
}

func layerCount(l report.LayerCount) string {
	if l.Layers == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", l.Layers, progress.Bytes(l.Bytes))
}
