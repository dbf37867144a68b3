package signing

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/sealing"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/reconciler/diskimage"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
)

const publishLong = `publish signs what a machine boots and publishes the signatures in the registries of its
images, for machines that have the certificate (db.crt) and not the key: these make the
same program themselves, and boot it if the signature is one of it. Nothing but a
signature and the stub is taken from the registry, and the machine is not asked.

All that boots is staged as a reconcile there would stage it, at the revision that the
config repo has now: by the same gitboot, with the secrets that the machine's hooks need.
Its stage is where a disk of the machine has it (gitboot disk image); that of another lies
where --stage-location says, and boot_location of agent.toml its EFI system partition.
--stage keeps what was staged in a folder: the next time takes a fraction.

The agent of a machine that has the key does so by itself for each machine that names it
with signed_by; gitboot status says there how far it is. Where nobody is named, run this
when config repo or images have changed, before the machine's next reconcile: what is not
signed yet is tried again there, and what boots stays until then.`

// lentJSON is a signature that was published.
type lentJSON struct {
	Image      string `json:"image"`
	Deployment string `json:"deployment"`
	Ref        string `json:"ref"`
	Tag        string `json:"tag"`
}

func newPublish(s Site) *cobra.Command {
	c := &cobra.Command{Use: "publish MACHINE", Short: "Sign what a machine boots that has the certificate alone", Args: usage.Args(cobra.ExactArgs(1)), ValidArgsFunction: s.Machines, Long: publishLong,
		Example: "  gitboot keys publish laptop --keys /root/keys --stage /var/lib/gitboot-laptop\n  gitboot keys publish server --repo https://git.example/fleet.git --stage-location UUID=6e2789dd-2103-4217-97fa-df5508bf737f:/gitboot"}
	keys := keysFlag(c)
	identities := sealing.IdentitiesFlag(c)
	credentials := c.Flags().String("credentials-file", "", "a docker or podman auth.json `FILE` (default: signing_credentials_file of agent.toml, else what the images are pulled with)")
	asJSON := c.Flags().Bool("json", false, "print JSON with stable fields")
	c.RunE = func(c *cobra.Command, names []string) (err error) {
		show := screen.New(c.ErrOrStderr())
		defer func() { err = errors.Join(err, show.Close()) }()
		cfg, err := s.Made(c, show, names[0])
		if err != nil {
			return err
		}
		if cfg.Identities, err = sealing.Identities(*identities); err != nil {
			return err
		}
		temp, err := diskimage.NewTemp(rehearsal.TempDir())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, temp.Close()) }()
		made, err := diskimage.Prepare(c.Context(), diskimage.Order{Config: cfg, Keys: *keys, Temp: temp.Path, Stage: cfg.Location, ESP: cfg.BootLocation, Size: func(*layout.Disk) (int64, error) { return 0, nil }})
		if err != nil {
			return err
		}
		lent, err := made.Lend(c.Context(), cmp.Or(*credentials, cfg.SigningCredentials))
		if err != nil {
			return err
		}
		return printLent(c, made, lent, *asJSON)
	}
	return c
}

func printLent(c *cobra.Command, made *diskimage.Plan, lent []diskimage.Lent, asJSON bool) error {
	if asJSON {
		out := []lentJSON{}
		for _, l := range lent {
			out = append(out, lentJSON{l.Image, l.Deployment, l.At.Ref, l.At.Tag})
		}
		return screen.JSON(c.OutOrStdout(), out)
	}
	for _, l := range lent {
		if _, err := fmt.Fprintf(c.OutOrStdout(), "%s of %s, at revision %s: deployment %s is signed, as %s\n", l.Image, made.Machine, plan.Short(made.Revision), plan.Short(l.Deployment), l.At); err != nil {
			return err
		}
	}
	return nil
}
