package disks

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/sealing"
	"github.com/gitboot/gitboot/reconciler/diskimage"
)

// keyFlags say by which keys what boots is signed, of a machine that declares secure_boot,
// and its secrets are opened.
type keyFlags struct {
	keys string
	// keepKey has the disk not hold the key that signs.
	keepKey bool
	enroll  bool
	// identities are files of private keys that open secrets.
	identities *[]string
}

func (f *keyFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.keys, "keys", "", "`FOLDER` of the keys that sign what boots (default: signing_keys of agent.toml)")
	c.Flags().BoolVar(&f.enroll, "enroll", false, "have firmware in setup mode trust these keys alone at the first start")
	c.Flags().BoolVar(&f.keepKey, "without-signing-key", false, "leave the private key that signs what boots off the disk")
	f.identities = sealing.IdentitiesFlag(c)
}

// given reports whether anything was said.
func (f keyFlags) given() bool {
	return f.keys != "" || f.keepKey || f.enroll || len(*f.identities) > 0
}

// prepare stages what an order is of, signed and opened as was said.
func (f keyFlags) prepare(ctx context.Context, o diskimage.Order) (_ *diskimage.Plan, err error) {
	o.Keys, o.KeepKey, o.Enroll = f.keys, f.keepKey, f.enroll
	if o.Config.Identities, err = sealing.Identities(*f.identities); err != nil {
		return nil, err
	}
	return diskimage.Prepare(ctx, o)
}
