package operating

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/operate"
)

// BootCommands returns those that belong to gitboot boot.
func BootCommands(s Site) []*cobra.Command {
	return []*cobra.Command{newMark(s, boot.Good), newMark(s, boot.Bad), newRollback(s), newNext(s), newRestart(s), newKexec(s), newConfirm()}
}

func newMark(s Site, verdict string) *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "mark-" + verdict + " [NAME]", Short: "Say of a generation that it is " + verdict, Args: usage.Args(cobra.MaximumNArgs(1)), ValidArgsFunction: s.Generations,
		Long: `mark-good says of IMAGE, IMAGE:GENERATION, an entry or a deployment that it boots and
works: its boots are not counted any more, and it is what the machine falls back to.
Without a name it is what runs. What was bad is good from then on.`,
		Example: "  gitboot boot mark-good\n  gitboot boot mark-good desktop:4",
	}
	if verdict == boot.Bad {
		c.Long = `mark-bad says of IMAGE, IMAGE:GENERATION, an entry or a deployment that it does not
work: it is not chosen to boot by itself, and what it was made from is not staged again,
until that changes or ` + "`gitboot reconcile --once --retry`" + `. Without a name it is what runs.
The entry stays in the menu.`
		c.Example = "  gitboot boot mark-bad --reason \"no sound\"\n  gitboot boot mark-bad desktop:4"
		c.Flags().StringVar(&reason, "reason", "", "why, in a line `TEXT`")
	}
	s.waitFlag(c)
	c.RunE = func(c *cobra.Command, given []string) error {
		if err := operate.CheckText("reason", reason); err != nil {
			return &usage.Error{Err: err}
		}
		name := first(given)
		if asked, err := s.askAgent(c, "mark-"+verdict, map[string]string{"name": name, "why": reason}); asked {
			return err
		}
		o, err := s.operator(c)
		if err != nil {
			return err
		}
		found, err := o.Mark(c.Context(), name, verdict, reason)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s:%d is %s\n", found.Image, found.N, verdict)
		return err
	}
	return c
}

func newRollback(s Site) *cobra.Command {
	c := &cobra.Command{Use: "rollback [NAME]", Short: "Boot by itself again what did before", Args: usage.Args(cobra.MaximumNArgs(1)), ValidArgsFunction: s.Generations,
		Long: `rollback has the newest good generation before the default boot by itself again, or
the named one. The generations of its image that are newer are marked bad: they stay in
the menu, are not chosen by themselves, and what they were made from is not staged again.
What the config repo brings next is tried as ever, unlike after boot set-default.

It needs the machine's boot mode "managed", and restarts nothing.`,
		Example: "  gitboot boot rollback && reboot\n  gitboot boot rollback desktop:3",
	}
	s.waitFlag(c)
	c.RunE = func(c *cobra.Command, given []string) error {
		if asked, err := s.askAgent(c, "rollback", map[string]string{"name": first(given)}); asked {
			return err
		}
		o, err := s.operator(c)
		if err != nil {
			return err
		}
		found, err := o.Rollback(c.Context(), first(given))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "rolled back: %s:%d boots next\n", found.Image, found.N)
		return err
	}
	return c
}

func newNext(s Site) *cobra.Command {
	var none bool
	c := &cobra.Command{Use: "next NAME | --none", Short: "Boot an entry at the next boot, and only then", Args: usage.Args(cobra.MaximumNArgs(1)), ValidArgsFunction: s.Generations,
		Long: `next has IMAGE, IMAGE:GENERATION, an entry or a deployment boot once, whatever boots by
itself. Such a boot is not counted. What GRUB could not take back it does not choose: on
file systems that it cannot write to, next says so.`,
		Example: "  gitboot boot next desktop:3 && reboot\n  gitboot boot next --none",
	}
	c.Flags().BoolVar(&none, "none", false, "take back what was asked for")
	s.waitFlag(c)
	c.RunE = func(c *cobra.Command, given []string) error {
		if none == (len(given) == 1) {
			return usage.Errorf("next needs a NAME or --none")
		}
		if asked, err := s.askAgent(c, "next", map[string]string{"name": first(given)}); asked {
			return err
		}
		o, err := s.operator(c)
		if err != nil {
			return err
		}
		found, err := o.Next(c.Context(), first(given))
		if err != nil {
			return err
		}
		text := "the next boot is as ever"
		if !none {
			text = fmt.Sprintf("%s:%d boots next, once", found.Image, found.N)
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), text)
		return err
	}
	return c
}

func newConfirm() *cobra.Command {
	return &cobra.Command{Use: "confirm", Short: "Say that this boot has worked out, as its health asks for", Args: usage.NoArgs,
		Long: `confirm says what a machine's health with confirm = "outside" waits for: whoever can say
it, over ssh for example, has not been locked out. Until then the boot does not count as
good, and at its deadline the machine falls back.`,
		Example: "  ssh root@router gitboot boot confirm",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := os.MkdirAll(filepath.Dir(deployment.ConfirmFile), 0o755); err != nil {
				return fmt.Errorf("confirm this boot: %w; only root can", err)
			}
			f, err := os.OpenFile(deployment.ConfirmFile, os.O_CREATE|os.O_WRONLY, 0o600)
			if err == nil {
				err = f.Close()
			}
			if err != nil {
				return fmt.Errorf("confirm this boot: %w; only root can", err)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), "confirmed")
			return err
		},
	}
}

func first(given []string) string {
	if len(given) == 0 {
		return ""
	}
	return given[0]
}
