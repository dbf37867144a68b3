package disks

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/reconciler/diskimage"
)

// signingFlags say how what boots is signed, of a machine that declares secure_boot.
type signingFlags struct {
	keys string
	// keepKey has the disk not hold the key that signs.
	keepKey bool
	enroll  bool
}

func (f *signingFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.keys, "keys", "", "`FOLDER` of the keys that sign what boots (default: signing_keys of agent.toml)")
	c.Flags().BoolVar(&f.enroll, "enroll", false, "have firmware in setup mode trust these keys alone at the first start")
	c.Flags().BoolVar(&f.keepKey, "without-signing-key", false, "leave the private key that signs what boots off the disk")
}

// given reports whether anything was said.
func (f signingFlags) given() bool { return f != signingFlags{} }

// prepare stages what an order is of, signed as was said.
func prepare(ctx context.Context, o diskimage.Order, sign signingFlags) (*diskimage.Plan, error) {
	o.Keys, o.KeepKey, o.Enroll = sign.keys, sign.keepKey, sign.enroll
	return diskimage.Prepare(ctx, o)
}
