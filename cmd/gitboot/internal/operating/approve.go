package operating

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/difference"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler/operate"
	"github.com/gitboot/gitboot/reconciler/plan"
)

func newApprove(s Site) *cobra.Command {
	var look bool
	var why string
	c := &cobra.Command{
		Use: "approve [REVISION]", Short: "Publish what is staged and waits", Args: usage.Args(cobra.MaximumNArgs(1)),
		Long: `approve publishes the revision that is staged and waits, at once, whatever it waits
for: its machine's approve, a window, or that it was only downloaded. All of it is on
this machine already, so that neither the config repo nor a registry is asked.

With REVISION it does so only if that is what waits. It says what changes, and with
--dry-run nothing more. Without anything that waits, it exits with 1.`,
		Example: "  gitboot approve --dry-run\n  gitboot approve --why \"tried on the first three\"\n  gitboot approve 05c639e294ca",
	}
	c.Flags().BoolVar(&look, "dry-run", false, "only say what would be published")
	c.Flags().StringVar(&why, "why", "", "`TEXT` that history shows")
	s.waitFlag(c)
	asJSON := c.Flags().Bool("json", false, "print JSON with stable fields")
	c.RunE = func(c *cobra.Command, given []string) error {
		revision := ""
		if len(given) == 1 {
			revision = given[0]
		}
		if err := operate.CheckText("reason", why); err != nil {
			return &usage.Error{Err: err}
		}
		if !look {
			if asked, err := s.askAgent(c, "approve", map[string]string{"name": revision, "why": why}); asked {
				return err
			}
		}
		o, err := s.operator(c)
		if err != nil {
			return err
		}
		approve := func() (operate.Approved, error) { return o.Approve(c.Context(), revision, why) }
		if look {
			approve = func() (operate.Approved, error) { return operate.Pending(o.On.Stage.Dir(), revision) }
		}
		a, err := approve()
		if err != nil {
			return err
		}
		w := c.OutOrStdout()
		if *asJSON {
			return screen.JSON(w, a)
		}
		text := "revision %s waits since %s\n"
		if a.Done {
			text = "approved revision %s, which has waited since %s; the next boot is the new one\n"
		}
		_, told := fmt.Fprintf(w, text, plan.Short(a.Revision), a.Since.Local().Format("2006-01-02 15:04"))
		return errors.Join(difference.Actions(w, a.Actions), told)
	}
	return c
}
