package operating

import (
	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/program"
	"github.com/gitboot/gitboot/reconciler/machine"
)

func newRestart(s Site) *cobra.Command {
	return &cobra.Command{Use: "restart", Short: "Restart into what boots next", Args: usage.NoArgs,
		Long: `restart restarts the machine, in an orderly way and at once, into what is on trial or was
asked for with boot next, else into what boots by itself. With most boot loaders reboot does
the same. The firmware of a Raspberry Pi tries something else than it boots by itself only
if it is told so at the restart, as this does: reboot, and a power cut, boot what is good.`,
		Example: "  gitboot boot restart\n  gitboot boot next desktop:3 && gitboot boot restart",
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := s.machine(c)
			if err != nil {
				return err
			}
			return restart(c, m)
		},
	}
}

// restart restarts the machine into what boots next.
func restart(c *cobra.Command, m *machine.Machine) error {
	argument, err := machine.Restarting(c.Context(), m, true)
	if err != nil {
		return err
	}
	return program.Reboot(c.Context(), argument)
}
