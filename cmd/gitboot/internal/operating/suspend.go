package operating

import (
	"cmp"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/span"
	"github.com/gitboot/gitboot/reconciler/operate"
)

func newSuspend(s Site) *cobra.Command {
	var long, why string
	c := &cobra.Command{
		Use: "suspend", Short: "Have nothing change on this machine by itself", Args: usage.NoArgs,
		Long: `suspend holds the agent and timers: nothing is built, pushed, staged or published,
and nothing removed, until it ends. A build or a run that goes on is finished. What
you ask for by hand, such as pin, boot set-default or image build, is done.

reconcile --once exits with 21 meanwhile, unless it is given --anyway.`,
		Example: "  gitboot suspend --for 3d --why \"exam week\"\n  gitboot suspend",
	}
	c.Flags().StringVar(&long, "for", "", "`TIME` after which it ends by itself, such as 90m, 12h, 3d or 1w (default: never)")
	c.Flags().StringVar(&why, "why", "", "`TEXT` that status shows")
	s.waitFlag(c)
	asJSON := c.Flags().Bool("json", false, "print JSON with stable fields")
	c.RunE = func(c *cobra.Command, _ []string) error {
		lasts, err := length(long)
		if err == nil {
			err = operate.CheckText("reason", why)
		}
		if err != nil {
			return &usage.Error{Err: err}
		}
		if asked, err := s.askAgent(c, "suspend", map[string]string{"for": long, "why": why}); asked {
			return err
		}
		o, err := s.operator(c)
		if err != nil {
			return err
		}
		suspension, err := o.Suspend(c.Context(), lasts, why)
		if err != nil {
			return err
		}
		if *asJSON {
			return screen.JSON(c.OutOrStdout(), suspension)
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "suspended %s\n", suspension.Words())
		return err
	}
	return c
}

func length(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := span.Parse(text)
	if err != nil {
		return 0, fmt.Errorf("--for: %w", err)
	}
	return d, nil
}

// who is the user that has become root, as far as sudo tells, else the one that
// runs this.
func who() string {
	if name := os.Getenv("SUDO_USER"); name != "" && operate.CheckText("name", name) == nil {
		return name
	}
	id := strconv.Itoa(os.Getuid())
	u, err := user.LookupId(id)
	if err != nil {
		return "user " + id
	}
	return cmp.Or(u.Username, "user "+id)
}

func newResume(s Site) *cobra.Command {
	c := &cobra.Command{
		Use: "resume", Short: "End a suspension", Args: usage.NoArgs,
		Long:    "resume lets the agent and timers go on; the agent does so at once.",
		Example: "  gitboot resume",
	}
	s.waitFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if asked, err := s.askAgent(c, "resume", nil); asked {
			return err
		}
		o, err := s.operator(c)
		if err != nil {
			return err
		}
		was, err := o.Resume(c.Context())
		if err != nil {
			return err
		}
		text := "resumed"
		if !was {
			text = "nothing to do: this machine is not suspended"
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), text)
		return err
	}
	return c
}
