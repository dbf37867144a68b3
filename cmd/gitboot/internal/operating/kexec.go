package operating

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler/takeover"
)

func newKexec(s Site) *cobra.Command {
	return &cobra.Command{Use: "kexec", Short: "Restart into what boots next, without firmware and boot loader", Args: usage.NoArgs,
		Long: `kexec restarts the machine, in an orderly way and at once: services are stopped, and then
the running kernel starts the one that the boot loader would start by itself now, with
the same initramfs and command line, and what the boot loader would have counted is
counted. That takes systemd, a kernel that may load others, and a menu whose default is
gitboot's (boot mode "managed", or boot next). Where anything of that is not so, kexec
says why and changes nothing; reboot does the same through the firmware.`,
		Example: "  gitboot boot kexec || reboot\n  gitboot boot next desktop:3 && gitboot boot kexec",
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := s.machine(c)
			if err != nil {
				return err
			}
			if err := takeover.Restart(c.Context(), &m.Book); err != nil {
				return fmt.Errorf("restart without firmware and boot loader: %w", err)
			}
			return nil
		},
	}
}
