package signing

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/boot/efivar"
	"github.com/gitboot/gitboot/boot/secureboot"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/secured"
)

func newEnroll(s Site) *cobra.Command {
	var o secureboot.Others
	var mine bool
	var to, variables string
	c := &cobra.Command{Use: "enroll", Short: "Have the firmware trust these keys, and what they sign", Args: usage.NoArgs,
		Long: `enroll writes the keys' certificates into the firmware, which has to be in setup mode.
From the next start on Secure Boot is on, and the machine starts nothing else. So it is
refused unless the boot loader, and all entries of gitboot's, are signed by them.

Devices, graphics cards most of all, bring programs of their own that Microsoft has
signed. A machine without them may show nothing, or not start. Say which it is to be:
--keep-defaults keeps what the firmware's maker trusts, Microsoft and the maker, beside
these keys; --trust adds a certificate; --only-mine trusts these keys alone, which is
right for virtual machines.

With --to nothing is enrolled: the signed lists are written into a folder, PK.auth,
KEK.auth and db.auth, which firmware's own menu takes, or systemd-boot, which enrolls
them in setup mode if they lie on its partition in loader/keys/NAME (by itself only
where NAME is auto and secure-boot-enroll in loader.conf, or a virtual machine, says so).`,
		Example: "  gitboot keys enroll --keep-defaults\n  gitboot keys enroll --only-mine --to /efi/loader/keys/auto"}
	f := c.Flags()
	keys := keysFlag(c)
	f.BoolVar(&o.Defaults, "keep-defaults", false, "keep trusting what the firmware's maker does")
	f.BoolVar(&mine, "only-mine", false, "trust nothing but these keys")
	f.StringArrayVar(&o.Certificates, "trust", nil, "a certificate in PEM `FILE` by which programs are trusted, too")
	f.StringVar(&to, "to", "", "write the signed lists into `FOLDER` instead")
	f.StringVar(&variables, "variables", "", "`FOLDER` of the firmware's variables (default "+string(efivar.System)+")")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if others := o.Defaults || len(o.Certificates) > 0; others == mine {
			return usage.Errorf("say whose else programs are to be trusted: --keep-defaults, --trust FILE, or --only-mine")
		}
		cfg, at, err := folder(s, c, *keys)
		if err != nil {
			return err
		}
		vars := efivar.Folder(cmp.Or(variables, string(efivar.System)))
		if to == "" {
			if err := (secured.Machine{Keys: at, Boot: cfg.Boot, Stage: cfg.Stage}).Enrollable(); err != nil {
				return err
			}
		}
		updates, err := at.Updates(c.Context(), vars, o, time.Now())
		if err != nil {
			return err
		}
		did := "the firmware trusts these keys; Secure Boot is on from the next start"
		if to == "" {
			err = secureboot.Enroll(vars, updates)
		} else {
			did = "PK.auth, KEK.auth and db.auth are in " + to
			err = write(to, updates)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), did)
		return err
	}
	return c
}

func write(dir string, updates []secureboot.Update) error {
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var err error
	for _, u := range updates {
		err = errors.Join(err, durable.WriteFile(filepath.Join(dir, u.File()), u.Signed, 0o644))
	}
	return err
}
