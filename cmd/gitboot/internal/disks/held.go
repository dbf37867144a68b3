package disks

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler/diskimage"
)

// heldJSON is what of a file nobody but its owner is to know.
type heldJSON struct {
	// Secrets are those of the config repo that it holds in the clear.
	Secrets []string `json:"secrets,omitempty"`
	// SigningKey says that it holds the key that signs what boots, PrivateKeys are
	// files of what the machine keeps (secrets/ on its stage) that hold others.
	SigningKey  bool     `json:"signingKey,omitempty"`
	PrivateKeys []string `json:"privateKeys,omitempty"`
}

func held(made *diskimage.Plan) heldJSON {
	return heldJSON{made.Secrets, made.SigningKey, made.PrivateKeys}
}

// tellHeld says of a file what its readers would see.
func tellHeld(c *cobra.Command, made *diskimage.Plan, file string) {
	var all []string
	if len(made.Secrets) > 0 {
		all = append(all, "the secrets "+strings.Join(made.Secrets, ", ")+" in the clear; keep it as you would keep them")
	}
	if made.LacksKey != "" {
		all = append(all, "them without the private key of "+made.Machine+" ("+made.LacksKey+"): it boots, and cannot stage what has secrets anew; give the key with -i, or make the machine one when it runs (`gitboot secret key --create`)")
	}
	if len(made.PrivateKeys) > 0 {
		all = append(all, "private keys that "+made.Machine+" keeps: "+strings.Join(made.PrivateKeys, ", ")+"; keep it as you would keep them")
	}
	if made.SigningKey {
		all = append(all, "the private key that signs what "+made.Machine+" boots; keep it as you would keep that, or leave it out with --without-signing-key")
	}
	for _, what := range all {
		fmt.Fprintf(c.ErrOrStderr(), "%s holds %s\n", plain.Visible(file), plain.Visible(what))
	}
}
