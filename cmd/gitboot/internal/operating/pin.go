package operating

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler/operate"
)

func newPin(s Site) *cobra.Command {
	c := &cobra.Command{
		Use: "pin NAME [LABEL]", Short: "Keep a generation until it is unpinned", Args: usage.Args(cobra.RangeArgs(1, 2)), ValidArgsFunction: s.Generations,
		Long: `pin keeps IMAGE, IMAGE:GENERATION, an entry or a deployment: neither keep, nor that
its image is not wanted any more, nor stage remove takes it off the stage. Pinned
generations do not count for keep. The menu shows the label in the entry's title.

Pinning again replaces the label. What cannot be booted any more goes all the same.`,
		Example: "  gitboot pin desktop:4 \"before the upgrade\"\n  gitboot pin desktop",
	}
	s.waitFlag(c)
	c.RunE = func(c *cobra.Command, given []string) error {
		label := ""
		if len(given) == 2 {
			label = given[1]
		}
		if err := operate.CheckText("label", label); err != nil {
			return &usage.Error{Err: err}
		}
		if asked, err := s.askAgent(c, "pin", map[string]string{"name": given[0], "label": label}); asked {
			return err
		}
		o, err := s.operator(c)
		if err != nil {
			return err
		}
		found, err := o.Pin(c.Context(), given[0], label)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "pinned %s:%d; it stays until `gitboot unpin %s:%d`\n", found.Image, found.N, found.Image, found.N)
		return err
	}
	return c
}

func newUnpin(s Site) *cobra.Command {
	c := &cobra.Command{
		Use: "unpin NAME", Short: "Let go of a generation that was pinned", Args: usage.Args(cobra.ExactArgs(1)), ValidArgsFunction: s.Generations,
		Long:    "unpin removes nothing by itself: from then on the generation is one of those that keep\ncounts, and the next reconcile removes what is beyond that.",
		Example: "  gitboot unpin desktop:4",
	}
	s.waitFlag(c)
	c.RunE = func(c *cobra.Command, given []string) error {
		if asked, err := s.askAgent(c, "unpin", map[string]string{"name": given[0]}); asked {
			return err
		}
		o, err := s.operator(c)
		if err != nil {
			return err
		}
		found, was, err := o.Unpin(c.Context(), given[0])
		if err != nil {
			return err
		}
		text := "unpinned"
		if !was {
			text = "nothing to do: not pinned:"
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s %s:%d\n", text, found.Image, found.N)
		return err
	}
	return c
}
