// Package signing has the commands about the keys of Secure Boot.
package signing

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/boot/secureboot"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/stage"
)

// A Site is what the commands are given.
type Site struct {
	// Config is this machine's, as far as it is known.
	Config func(*cobra.Command) (reconciler.Config, error)
	// Made is that of a machine of the config repo which is made here, with the stage that
	// was named, "" for none.
	Made func(c *cobra.Command, show *screen.Display, machine string) (reconciler.Config, error)
	// Machines completes names of machines.
	Machines cobra.CompletionFunc
}

// New returns the command with all of them.
func New(s Site) *cobra.Command {
	c := &cobra.Command{Use: "keys", Short: "Keys of Secure Boot: make them, have the firmware trust them, see what it trusts", Args: usage.KnownCommand, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newCreate(s), newEnroll(s), newSign(s), newPublish(s), newStatus(s))
	return c
}

func keysFlag(c *cobra.Command) *string {
	return c.Flags().String("keys", "", "`FOLDER` of the keys (default: signing_keys of agent.toml, else keys on the stage)")
}

// folder reads the settings, and says where the keys are.
func folder(s Site, c *cobra.Command, named string) (cfg reconciler.Config, at secureboot.Folder, err error) {
	if cfg, err = s.Config(c); err != nil {
		return cfg, at, err
	}
	path, err := filepath.Abs(cmp.Or(named, cfg.SigningKeys, filepath.Join(cfg.Stage, stage.KeysDir)))
	return cfg, secureboot.Folder(path), err
}

func newCreate(s Site) *cobra.Command {
	var key, certificate string
	c := &cobra.Command{Use: "create", Short: "Make keys of this machine's own", Args: usage.NoArgs,
		Long: `create makes three keys and their certificates, in a folder that is root's alone: the
platform key (PK), the key exchange key (KEK), and the one that signs what boots (db).
With --key and --certificate the last is a pair of yours, which is copied. What machines
of a fleet boot may be signed by the same db.key; whoever has it decides what they boot.

PK and KEK are needed again only to change what the firmware trusts: keep them, where
nobody else reads them. Nothing changes for the next boot: see gitboot keys enroll.`,
		Example: "  gitboot keys create\n  gitboot keys create --keys /root/keys\n  gitboot keys create --key company.key --certificate company.crt"}
	f := c.Flags()
	keys := keysFlag(c)
	f.StringVar(&key, "key", "", "private RSA key that signs, in PEM form, which nobody else may read")
	f.StringVar(&certificate, "certificate", "", "its certificate, in PEM form")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if (key == "") != (certificate == "") {
			return usage.Errorf("--key and --certificate belong together")
		}
		cfg, at, err := folder(s, c, *keys)
		if err != nil {
			return err
		}
		host, _ := os.Hostname() // no more than a name
		if err := at.Create(cmp.Or(cfg.Machine, host, "this machine"), key, certificate, time.Now()); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s: PK, KEK and db; the firmware trusts them after `gitboot keys enroll`\n", at)
		return err
	}
	return c
}

func newSign(s Site) *cobra.Command {
	c := &cobra.Command{Use: "sign FILE…", Short: "Sign programs of the firmware's, such as boot loaders", Args: usage.Args(cobra.MinimumNArgs(1)),
		Long: `sign adds a signature by db.key to programs that the firmware starts: systemd-boot
itself, after it was installed or updated, or a tool of yours. Signatures that are there
stay. A file is replaced as a whole; one that is signed by the key already is left alone.`,
		Example: "  gitboot keys sign /efi/EFI/systemd/systemd-bootx64.efi /efi/EFI/BOOT/BOOTX64.EFI"}
	keys := keysFlag(c)
	c.RunE = func(c *cobra.Command, files []string) error {
		_, at, err := folder(s, c, *keys)
		if err != nil {
			return err
		}
		signer, err := at.Signer()
		if err != nil {
			return err
		}
		for _, file := range files {
			did := "signed already"
			if signer.Verify(file) != nil {
				did = "signed"
				out, err := durable.Create(filepath.Dir(file), 0o600)
				if err != nil {
					return err
				}
				defer out.Discard()
				if err := errors.Join(signer.Copy(out.File, file), out.Publish(file)); err != nil {
					return err
				}
			}
			if _, err := fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", file, did); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}
