package main

import (
	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/disks"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/signing"
	"github.com/gitboot/gitboot/reconciler"
)

// diskSite is what the commands about disks are given of the flags.
func diskSite(a *app) disks.Site {
	return disks.Site{
		Config: func(c *cobra.Command, show *screen.Display, machine string) (reconciler.Config, error) {
			here(a)
			if machine != "" {
				a.flags.Machine = machine
			}
			cfg, err := a.repoConfig(c, show)
			cfg.Stage = a.flags.Stage // and not this machine's
			return cfg, err
		},
		Machines: a.completeMachines, MachinesAndImages: withImages(a.completeMachines),
	}
}

// signingSite is what the commands about keys are given.
func signingSite(a *app) signing.Site {
	made := diskSite(a)
	return signing.Site{Config: sealingSite(a).Config, Made: made.Config, Machines: made.Machines}
}
